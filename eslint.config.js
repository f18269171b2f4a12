import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const ambient = (what, instead) => ({
  selector: what,
  message: `Take it as a parameter or inject ${instead}, so tests can control it.`,
});

export default defineConfig(
  {
    ignores: [
      'dist/',
      'data/',
      'coverage/',
      '*.config.js',
      '.dependency-cruiser.cjs',
      'bin/',
      'scripts/',
      'examples/', // run by test/e2e/examples.spec.ts
    ],
  },
  tseslint.configs.strictTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/no-extraneous-class': ['error', { allowWithDecorator: true }],
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off', // Nest declares its options as classes
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['apps/server/**', 'libs/**'],
    ignores: [
      ...['**/platform/clock.ts', '**/main.ts', '**/*.main.ts', '**/*.spec.ts'],
      'libs/client-node/**', // is what the others are given time and surroundings by
    ],
    rules: {
      'no-restricted-syntax': [
        'error',
        ambient("NewExpression[callee.name='Date'][arguments.length=0]", 'Clock'),
        ambient("CallExpression[callee.object.name='Date'][callee.property.name='now']", 'Clock'),
        ambient(
          "CallExpression[callee.object.name='Math'][callee.property.name='random']",
          'randomness',
        ),
        ambient("MemberExpression[object.name='process'][property.name='env']", 'Config'),
      ],
    },
  },
  {
    files: ['test/**'],
    rules: {
      // response bodies are what we assert on
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
    },
  },
);
