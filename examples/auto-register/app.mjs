// A plain Express app: it knows nothing of membranes.
import express from 'express';

const app = express();
app.get('/', (_request, response) => {
  response.json({ says: 'warm' });
});
const server = app.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const address = server.address();
  console.log(`the app listens on port ${typeof address === 'object' ? address?.port : address}`);
});
