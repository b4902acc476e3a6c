#!/usr/bin/env node
import * as nodeModule from 'node:module';

// Since Node 22.1: the next start finds the code compiled.
nodeModule.enableCompileCache?.();
const { main } = await import('../dist/index.js');

process.exitCode = await main(process.argv.slice(2));
