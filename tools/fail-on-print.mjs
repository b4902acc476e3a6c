// A test that prints is a test whose output nobody reads: it fails. What a user must see, such as why a test is
// skipped, goes to process.stderr.
for (const method of /** @type {const} */ (['debug', 'error', 'info', 'log', 'trace', 'warn'])) {
  console[method] = (/** @type {unknown[]} */ ...args) => {
    throw new Error(`console.${method} in a test: ${args.join(' ')}`);
  };
}
