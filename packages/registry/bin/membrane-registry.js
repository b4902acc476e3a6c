#!/usr/bin/env node
import { main } from '../dist/bin/membrane-registry.js';

await main(process.argv.slice(2));
