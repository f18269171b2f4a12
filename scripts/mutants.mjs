/**
 * `npm run mutants -- keys`: takes out, one by one, the checks that `test/hostile/keys.mutants.json` lists, in
 * a copy of the working tree, runs for each the one test that must notice, and prints a table. It ends with 1
 * when a test did not notice, does not pass with the check in place, or a text to be replaced is not there once.
 *
 * It needs TEST_DATABASE_URL, a PostgreSQL to make schemas in.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [name, only] = process.argv.slice(2);
const list = join(root, 'test/hostile', `${name}.mutants.json`);
if (name === undefined || !existsSync(list)) {
  process.stderr.write('usage: npm run mutants -- keys [words of the test or threat]\n');
  process.exit(2);
}
if (!process.env.TEST_DATABASE_URL) {
  process.stderr.write('mutants: TEST_DATABASE_URL is not set\n');
  process.exit(2);
}
const spec = `test/hostile/${name}.spec.ts`;
const mutants = JSON.parse(readFileSync(list, 'utf8')).filter(
  ({ threat, test }) => !only || threat === only || test.includes(only),
);

const copy = mkdtempSync(join(tmpdir(), 'lockstep-mutants-'));
const git = ['ls-files', '--cached', '--others', '--exclude-standard', '-z'];
for (const file of spawnSync('git', git, { cwd: root, encoding: 'utf8' }).stdout.split('\0')) {
  if (file === '' || !existsSync(join(root, file))) continue;
  mkdirSync(join(copy, dirname(file)), { recursive: true });
  copyFileSync(join(root, file), join(copy, file));
}
symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));

/** The outcome of these tests in the copy: how many passed, how many failed. */
function run(pattern) {
  const options = '--experimental-vm-modules --disable-warning=ExperimentalWarning';
  const { stdout } = spawnSync(
    process.execPath,
    ['node_modules/jest/bin/jest.js', spec, '--json', '--silent', '-t', pattern],
    {
      cwd: copy,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
      env: { ...process.env, NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} ${options}` },
    },
  );
  try {
    const { numPassedTests: passed, numFailedTests: failed } = JSON.parse(stdout);
    return { passed, failed };
  } catch {
    return { passed: 0, failed: 0 };
  }
}

const exactly = (test) => `${test.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`;

/** @returns what to put back, or undefined when the text is not there exactly once */
function change({ file, text, becomes }) {
  const path = join(copy, file);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (before.split(text).length !== 2) return undefined;
  writeFileSync(
    path,
    before.replace(text, () => becomes),
  );
  return () => writeFileSync(path, before);
}

function verdictOf({ test, and = [], ...first }) {
  const undo = [];
  try {
    for (const edit of [first, ...and]) {
      const back = change(edit);
      if (!back) return `not there: ${edit.file}`;
      undo.unshift(back);
    }
    const { passed, failed } = run(exactly(test));
    if (failed > 0) return 'caught';
    return passed > 0 ? 'SURVIVED' : 'no test ran';
  } finally {
    for (const back of undo) back();
  }
}

let failures = 0;
try {
  const tests = [...new Set(mutants.map(({ test }) => test))];
  const whole = run(tests.map(exactly).join('|'));
  process.stdout.write(`unchanged: ${whole.passed} tests pass, ${whole.failed} fail\n\n`);
  if (whole.failed > 0 || whole.passed < tests.length) failures += 1;
  process.stdout.write(
    '| threat | check taken out | caught by | verdict |\n| --- | --- | --- | --- |\n',
  );
  for (const mutant of mutants) {
    const verdict = verdictOf(mutant);
    if (verdict !== 'caught') failures += 1;
    process.stdout.write(`| ${mutant.threat} | ${mutant.says} | ${mutant.test} | ${verdict} |\n`);
  }
  const caught = mutants.length - failures;
  process.stdout.write(`\n${Math.max(0, caught)} of ${mutants.length} caught\n`);
} finally {
  rmSync(copy, { recursive: true, force: true });
}
process.exit(failures > 0 ? 1 : 0);
