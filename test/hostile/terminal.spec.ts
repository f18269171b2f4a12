import { lstat, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileReference } from '#lib/client';
import { tell } from '../../apps/cli/src/options.ts';
import { download, secretLines } from '../../apps/cli/src/transfer.ts';

const CLEAR = '\u001b[2J\u001b[H';

describe('what a sender or a server chose to be shown', () => {
  let written = '';
  const words = (...lines: string[]) => {
    tell({}, undefined, lines);
    return written;
  };
  const write = process.stdout.write.bind(process.stdout);
  beforeEach(() => {
    written = '';
    process.stdout.write = (text) => {
      written += String(text);
      return true;
    };
  });
  afterEach(() => {
    process.stdout.write = write;
  });

  it.each([
    ['a terminal would obey', `${CLEAR}gone`, '\\u{1b}[2J\\u{1b}[Hgone\n'],
    ['an 8-bit terminal would obey', 'a\u009b2Jb', 'a\\u{9b}2Jb\n'],
    ['plays another line', 'a\nid  from Alice', 'a\\u{a}id  from Alice\n'],
    ['turns what follows around', 'invoice\u202efdp.exe', 'invoice\\u{202e}fdp.exe\n'],
    ['is only foreign', 'Фото 👩‍👩‍👧', 'Фото 👩‍👩‍👧\n'],
  ])('is spelled out where it %s', (_, text, shown) => {
    expect(words(text)).toBe(shown);
  });

  it('is the same value in JSON, and harmless there too', () => {
    const value = { title: `${CLEAR}\u009b\u202e` };
    tell({ json: true }, value, '');
    expect(written).toMatch(/^[\x20-\x7e]+\n$/);
    expect(JSON.parse(written)).toEqual(value);
  });

  it('has as many lines as a note has, and no member of one looks like another', () => {
    const note = { typ: 'item', title: 'a', secret: { note: 'one\npassword: two' } } as const;
    expect(secretLines(note)).toEqual(['a', 'note: one', '    password: two']);
  });
});

describe('a file whose name a sender chose', () => {
  let folder: string;
  const before = process.cwd();
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lockstep-names-'));
    process.chdir(folder);
  });
  afterEach(async () => {
    process.chdir(before);
    await rm(folder, { recursive: true });
  });

  const named = (name: string) => ({ name, size: 3 }) as FileReference;
  /** Files whose download gives these bytes, and does this in between. */
  const files = (between: () => unknown = () => undefined) => ({
    files: {
      async *download() {
        yield Buffer.from('ab');
        await between();
        yield Buffer.from('c');
      },
    },
  });

  it.each([
    ['../../above', 'above'],
    ['/etc/passwd', 'passwd'],
    ['..\\..\\above', 'above'],
    ['.bashrc', 'bashrc'],
    ['-rf', 'rf'],
    [`${CLEAR}x`, '\\u{1b}[2J\\u{1b}[Hx'],
  ])('%j lands in this folder, under a plain name', async (name, path) => {
    expect(await download(files(), named(name))).toBe(path);
    expect(await readdir('.')).toEqual([path]);
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
  });

  it.each(['', '..', '../..'])('%j has to be given another', async (name) => {
    await expect(download(files(), named(name))).rejects.toMatchObject({ name: 'Refused' });
  });

  it('replaces nothing, also no draft of another, and follows no link', async () => {
    await writeFile('x.part', 'mine');
    await writeFile('elsewhere', 'mine');
    await symlink('elsewhere', 'y.part');
    await symlink('nowhere', 'z');
    await download(files(), named('x'));
    await download(files(), named('y'));
    await expect(download(files(), named('x'))).rejects.toThrow('is there already');
    await expect(download(files(), named('z'))).rejects.toThrow('is there already');
    const content = await Promise.all(
      ['x.part', 'elsewhere', 'x', 'y'].map((name) => readFile(name, 'utf8')),
    );
    expect(content).toEqual(['mine', 'mine', 'abc', 'abc']);
  });

  it('is not fetched at all when its name is taken', async () => {
    await writeFile('x', 'mine');
    const fetched = files(() => {
      throw new TypeError('It was fetched.');
    });
    await expect(download(fetched, named('x'))).rejects.toThrow('is there already');
  });

  it('replaces nothing that came there in the meantime', async () => {
    const busy = files(() => writeFile('x', 'mine'));
    await expect(download(busy, named('x'))).rejects.toThrow('is there already');
    expect(await readFile('x', 'utf8')).toBe('mine');
    expect(await readdir('.')).toEqual(['x']);
  });

  it('leaves nothing when it turns out to be forged', async () => {
    const forged = files(() => {
      throw new TypeError('Forged.');
    });
    await expect(download(forged, named('x'))).rejects.toThrow('Forged.');
    expect(await readdir('.')).toEqual([]);
  });
});
