import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { migrations } from '../apps/server/src/migrations/index.ts';
import { Environment } from '../apps/server/src/platform/config.ts';

const read = (path: string) => readFileSync(path, 'utf8');

/** Facts about the repository itself that no compiler checks. */
describe('The repository', () => {
  // What git would ship: tracked, or new and not ignored. An archive without .git has no such list.
  const files = existsSync('.git')
    ? execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
        encoding: 'utf8',
      })
        .split('\n')
        .filter((path) => existsSync(path) && path !== '')
    : ['apps', 'libs', 'test', 'bin', 'scripts', 'docs', 'docker', 'bench'].flatMap((top) =>
        readdirSync(top, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => `${entry.parentPath}/${entry.name}`),
      );
  const sources = files.filter((path) => /\.(ts|tsx|mjs|cjs|js)$/.test(path));

  it('runs every migration, oldest first', () => {
    const names = readdirSync('apps/server/src/migrations').filter((name) => /^\d/.test(name));
    const times = names.sort().map((name) => name.slice(0, 13));
    expect(migrations.map(({ name }) => name.slice(-13))).toEqual(times);
    expect(new Set(times).size).toBe(times.length);
  });

  it('describes every feature in docs/architecture.md', () => {
    const features = sources.flatMap(
      (path) => /^apps\/server\/src\/([^/]+)\/\1\.module\.ts$/.exec(path)?.[1] ?? [],
    );
    expect(features).toContain('keys');
    const described = read('docs/architecture.md');
    expect(features.filter((name) => !new RegExp(`\\| \`?${name}/?\`? `).test(described))).toEqual(
      [],
    );
  });

  it('keeps files short enough to read at once', () => {
    // A specification may be long: it is read one test at a time.
    const long = sources.filter(
      (path) => !path.endsWith('.spec.ts') && read(path).split('\n').length > 401,
    );
    expect(long).toEqual([]);
  });

  it('lists every decision in docs/adr/README.md', () => {
    const index = read('docs/adr/README.md');
    const decisions = readdirSync('docs/adr').filter((name) => /^\d{4}-/.test(name));
    expect(decisions.length).toBeGreaterThan(0);
    expect(decisions.filter((name) => !index.includes(name))).toEqual([]);
  });

  it('lists every variable in .env.example, with its default and a comment', () => {
    const lines = read('.env.example').split('\n');
    const listed = lines.flatMap((line, i) => {
      const [, name, value] = /^#([A-Z_]+)=(.*)$/.exec(line) ?? [];
      if (name === undefined) return [];
      expect(lines[i - 1]).toMatch(/^# .*\.$/);
      return [[name, value] as const];
    });
    expect(listed.map(([name]) => name).sort()).toEqual(Object.keys(Environment.shape).sort());
    const defaults = Environment.parse({});
    const sameNames = listed.filter(([name]) => name in defaults);
    expect(Environment.parse(Object.fromEntries(sameNames))).toEqual(defaults);
  });

  it('lists every variable in docs/operating.md', () => {
    const described = read('docs/operating.md');
    const names = Object.keys(Environment.shape);
    expect(names.filter((name) => !described.includes(`| \`${name}\` |`))).toEqual([]);
  });

  it('names no path or registry of the machine it was written on', () => {
    const machine = /(^|[^a-z.\w])\/(root|home|tmp|work)\/[a-z]|registry\.[a-z]/m;
    const text = files.filter(
      (path) =>
        !/\.(png|ico|woff2|bin)$|^package-lock\.json$/.test(path) && path !== 'test/tidy.spec.ts',
    );
    expect(text.filter((path) => machine.test(read(path)))).toEqual([]);
  });

  it('records no download addresses in package-lock.json', () => {
    expect(read('package-lock.json')).not.toContain('"resolved"');
  });
});
