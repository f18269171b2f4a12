import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runBuilt } from '../support/built-program.ts';

interface Step {
  step: number;
  name: string;
  ok: boolean;
  ms: number;
  detail: string;
}

describe('npm run demo', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-demo-'));
  const file = join(folder, 'photo.jpg');
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('goes the whole way with a file of one’s own, a JSON line for each step', async () => {
    writeFileSync(file, randomBytes(1_500_000));
    const ran = await runBuilt('apps/demo/src/main.js', ['--json', file], { SIGN_UP: 'invite' });
    const { code, stdout, stderr } = ran;
    const steps = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Step);
    expect(steps.map(({ ok, detail }) => (ok ? 'ok' : detail))).toEqual(Array(7).fill('ok'));
    expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(Object.keys(steps[0] ?? {})).toEqual(['step', 'name', 'ok', 'ms', 'detail']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('stops at the first step that fails', async () => {
    const parameters = ['--json', '--url', 'http://127.0.0.1:9', file];
    const { code, stdout } = await runBuilt('apps/demo/src/main.js', parameters);
    expect(code).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ step: 1, ok: false });
  });

  it('says what is wrong with a file that is not there', async () => {
    const ran = await runBuilt('apps/demo/src/main.js', [join(folder, 'nothing')]);
    expect([ran.code, ran.stdout]).toEqual([1, '']);
    expect(ran.stderr).toMatch(/^demo: [^\n]+\n$/);
  });
});
