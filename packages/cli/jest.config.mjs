import preset from '../../jest.preset.mjs';

// The tests run the command as it is shipped; by hand, "tsc" alone would leave them that of yesterday.
export default { ...preset, globalSetup: '<rootDir>/../../tools/bundle-cli.mjs' };
