import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { TestServer } from '../support/test-server.ts';

const run = promisify(execFile);
const SECTION = '## A session by curl';

let server: TestServer;
afterEach(() => server.stop());

it('goes as the documentation says, by curl', async () => {
  server = await TestServer.start();
  const page = await readFile('docs/protocol/keys.md', 'utf8');
  const lines = page
    .slice(page.indexOf(SECTION))
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.slice(4));
  const isSaid = (line: string) => line.startsWith('# ');
  const script = lines.filter((line) => !isSaid(line) && !line.startsWith('sleep '));
  const { stdout } = await run('bash', ['--norc', '-euo', 'pipefail', '-c', script.join('\n')], {
    env: { PATH: process.env['PATH'], SERVER: server.url, MAIL: `${server.config.dataDir}/mail` },
  });
  const said = lines.filter(isSaid).map((line) => patternOf(line.slice(2)));
  const answers = stdout.split('\n').filter((line) => line !== '');
  expect(answers).toEqual(said.map((pattern): unknown => expect.stringMatching(pattern)));
});

/** Whatever was left out may be anything. */
const patternOf = (line: string): RegExp =>
  new RegExp(`^${line.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('…', '.*')}$`);
