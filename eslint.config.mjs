import js from '@eslint/js';
import nx from '@nx/eslint-plugin';
import importX from 'eslint-plugin-import-x';
import globals from 'globals';
import tseslint from 'typescript-eslint';

const SOURCES = ['packages/*/src/**/*.ts'];
const TESTS = ['packages/*/test/**/*.ts'];

/** Who may use what: docs/architecture.md draws the picture. */
const boundaries = {
  enforceBuildableLibDependency: true,
  allow: [],
  depConstraints: [
    {
      sourceTag: 'scope:protocol',
      onlyDependOnLibsWithTags: ['scope:protocol'],
      allowedExternalImports: ['zod'],
    },
    {
      sourceTag: 'scope:registry',
      onlyDependOnLibsWithTags: ['scope:registry', 'scope:protocol'],
    },
    {
      sourceTag: 'scope:client',
      onlyDependOnLibsWithTags: ['scope:client', 'scope:protocol'],
    },
    {
      // The registry is optional: it is loaded by `registry start` alone, its types are free.
      sourceTag: 'scope:cli',
      onlyDependOnLibsWithTags: ['scope:cli', 'scope:client', 'scope:protocol', 'scope:registry'],
    },
  ],
};

export default tseslint.config(
  { ignores: ['**/dist', '**/out-tsc', '**/test-output', '**/assets', '.nx'] },
  js.configs.recommended,
  {
    files: ['**/*.mjs', 'packages/*/bin/*.js'],
    languageOptions: { globals: globals.node },
  },
  {
    files: [...SOURCES, ...TESTS],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { '@nx': nx, 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: {
      ...importX.flatConfigs.typescript.settings,
      'import-x/resolver-next': [
        importX.createNodeResolver({ extensions: ['.ts', '.js'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
    },
    rules: {
      '@nx/enforce-module-boundaries': ['error', boundaries],
      'import-x/no-cycle': 'error',
      'import-x/no-default-export': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    // The domain is pure: no module of Node, no timer, no clock. Every function takes the time it needs.
    files: ['packages/registry/src/domain/**/*.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^(?!@membrane/protocol$|\\./)',
              message: 'domain/ imports only itself and @membrane/protocol',
            },
          ],
        },
      ],
      'no-restricted-globals': [
        'error',
        ...[
          'Date',
          'performance',
          'process',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'queueMicrotask',
        ].map((name) => ({ name, message: 'domain/ is given the time and never waits' })),
      ],
    },
  },
  {
    files: TESTS,
    languageOptions: { globals: globals.jest },
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
