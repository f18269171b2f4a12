/**
 * `node scripts/complete-lock.mjs [package-lock.json]`, after every change of the dependencies.
 *
 * Packages with native parts name one optional package per platform. A registry mirror that
 * serves only the platforms of its users makes npm leave the others out of the lock file, and
 * `npm ci` then refuses the file, everywhere ("Missing: … from lock file"). This adds an entry
 * for each that is named and absent. The entry has no integrity, as nobody here could check one;
 * npm takes the registry's on the machine that needs the package.
 */
import { readFileSync, writeFileSync } from 'node:fs';

/** Words in package names, and what npm calls them. The first match wins. */
const systems = {
  openharmony: 'openharmony',
  android: 'android',
  darwin: 'darwin',
  windows: 'win32',
  win32: 'win32',
  freebsd: 'freebsd',
  netbsd: 'netbsd',
  openbsd: 'openbsd',
  sunos: 'sunos',
  aix: 'aix',
  linux: 'linux',
};
const processors = {
  arm64: 'arm64',
  armv7: 'arm',
  arm: 'arm',
  x64: 'x64',
  ia32: 'ia32',
  ppc64: 'ppc64',
  riscv64: 'riscv64',
  s390x: 's390x',
  loong64: 'loong64',
  mips64el: 'mips64el',
  wasm32: 'wasm32',
};
const libraries = { musl: 'musl', gnu: 'glibc' };

const file = process.argv[2] ?? 'package-lock.json';
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = {};
for (const [path, dependant] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(dependant.optionalDependencies ?? {})) {
    if (isLocked(path, name)) continue;
    const only = (field, words) => {
      const word = Object.keys(words).find((candidate) => name.includes(candidate));
      return word && { [field]: [words[word]] };
    };
    added[`node_modules/${name}`] = {
      version: range.replace(/^[\^~=]/, ''),
      ...only('cpu', processors),
      ...(dependant.dev && { dev: true }),
      ...only('libc', libraries),
      optional: true,
      ...only('os', systems),
    };
  }
}
const entries = Object.entries({ ...lock.packages, ...added });
lock.packages = Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${Object.keys(added).length} packages added to ${file}`);

/** Whether Node's search for a package, from a folder upwards, ends at a locked one. */
function isLocked(path, name) {
  for (
    let folder = path;
    ;
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))
  ) {
    if (lock.packages[`${folder && `${folder}/`}node_modules/${name}`]) return true;
    if (folder === '') return added[`node_modules/${name}`] !== undefined;
  }
}
