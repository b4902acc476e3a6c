import { fileURLToPath } from 'node:url';
import express, { Router } from 'express';
import { jsonAnswer, sendAnswer } from '../answer.js';
import { mountRoute } from '../mount-route.js';

/** Swagger UI, copied here by the build. */
const ASSETS_DIRECTORY = fileURLToPath(new URL('../../../assets/swagger-ui', import.meta.url));

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Membrane registry API</title>
    <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
    <link rel="icon" href="data:,">
  </head>
  <body>
    <div id="api"></div>
    <script src="/docs/assets/swagger-ui-bundle.js"></script>
    <script src="/docs/page.js"></script>
  </body>
</html>
`;

const SCRIPT = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', deepLinking: true, defaultModelsExpandDepth: 0 });\n`;

/** Everything comes from this server, so the page works offline, and nothing else may be loaded. */
const CONTENT_SECURITY_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/** The OpenAPI document, and a page to read it. */
export function docsRouter(): Router {
  const router = Router();
  mountRoute(router, { method: 'GET', path: '/openapi.json' }, (_request, response, next) => {
    // Its libraries are loaded by the first who asks.
    import('../openapi-document.js')
      .then(({ createOpenApiDocument }) => {
        sendAnswer(response, jsonAnswer(JSON.stringify(createOpenApiDocument())));
      })
      .catch(next);
  });
  mountRoute(router, { method: 'GET', path: '/docs' }, (_request, response) => {
    response.set('Content-Security-Policy', CONTENT_SECURITY_POLICY).type('html').send(PAGE);
  });
  mountRoute(router, { method: 'GET', path: '/docs/page.js' }, (_request, response) => {
    response.type('js').send(SCRIPT);
  });
  router.use('/docs/assets', express.static(ASSETS_DIRECTORY, { index: false, redirect: false }));
  return router;
}
