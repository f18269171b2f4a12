const swc = {
  jsc: {
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true },
    target: 'es2023',
  },
};

export default {
  testRegex: String.raw`\.spec\.ts$`,
  modulePathIgnorePatterns: ['<rootDir>/dist/', '<rootDir>/data/'],
  extensionsToTreatAsEsm: ['.ts'],
  testEnvironmentOptions: { customExportConditions: ['source', 'node'] },
  transform: { '\\.ts$': ['@swc/jest', swc] },
  // Long, for machines with much else to do: a test that hangs is told by it, no speed is measured.
  testTimeout: 120_000,
  // What a file has loaded stays in the process's memory: in one process for all files, the last
  // ones take twice as long as the first.
  maxWorkers: 2,
  workerIdleMemoryLimit: '1GB',
};
