/** Who may import whom. Everything not listed here is refused by `npm run arch`. */
const mayImport = {
  'libs/crypto': [],
  'libs/protocol': [],
  'libs/client': ['libs/crypto', 'libs/protocol'],
  'libs/client-node': ['libs/client', 'libs/crypto', 'libs/protocol'],
  'apps/server': ['libs/crypto', 'libs/protocol'], // never libs/client: the server has no code that opens user data
  'apps/cli': ['libs/client', 'libs/client-node', 'libs/protocol', 'libs/crypto'],
  'apps/demo': ['libs/client', 'libs/client-node', 'libs/protocol', 'libs/crypto', 'apps/cli'],
  'apps/web': ['libs/client', 'libs/protocol', 'libs/crypto'],
};

const layers = Object.entries(mayImport).map(([part, others]) => ({
  name: `${part.replace('/', '-')}-imports`,
  severity: 'error',
  from: { path: `^${part}/` },
  to: { path: '^(apps|libs)/', pathNot: [part, ...others].map((other) => `^${other}/`) },
}));

const rule = (name, from, to) => ({ name, severity: 'error', from, to });

module.exports = {
  forbidden: [
    ...layers,
    rule('no-cycles', {}, { circular: true }),
    rule(
      'libs-are-entered-by-index',
      { path: '^(?:apps|libs)/([^/]+)/' },
      { path: '^libs/[^/]+/src/(?!index\\.ts)', pathNot: '^libs/$1/' },
    ),
    rule(
      'libs-run-anywhere',
      { path: '^libs/(?!client-node/)', pathNot: '\\.spec\\.ts$|/vite\\.config\\.ts$' },
      { dependencyTypes: ['core'] },
    ),
    rule(
      'libs-know-no-framework',
      { path: '^libs/' },
      { path: '^node_modules/(@nestjs|typeorm|pg|oidc-provider)' },
    ),
    rule(
      'features-meet-through-services',
      { path: '^apps/server/src/([^/]+)/' },
      {
        path: '^apps/server/src/(?!platform|migrations)[^/]+/(?!.*\\.(service|module|guard)\\.ts$)',
        pathNot: '^apps/server/src/$1/',
      },
    ),
    // Whoever writes to storage goes through its API with a token, in one process as over the network.
    rule(
      'sync-stands-alone',
      { path: '^apps/server/src/(?!sync/|server(\\.module)?\\.ts)' },
      { path: '^apps/server/src/sync/' },
    ),
    rule(
      'blobs-stay-behind-files',
      { path: '^apps/server/src/(?!files/)' },
      { path: '^apps/server/src/files/(?!files\\.module\\.ts)' },
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: {
      conditionNames: ['source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
    },
  },
};
