import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(process.cwd(), '..', 'shared', 'vectors');

/** The published vectors of one source, read from beside the project. */
export interface Vectors {
  names(): string[];
  text(name: string): string;
  json(name: string): unknown;
}

/** Describes tests over a folder of `../shared/vectors`; without the folder one skipped test says so. */
export function describeVectors(folder: string, title: string, tests: (vectors: Vectors) => void) {
  const path = join(root, folder);
  const text = (name: string) => readFileSync(join(path, name), 'utf8').trim();
  describe(title, () => {
    if (existsSync(path)) {
      tests({
        names: () => readdirSync(path),
        text,
        json: (name) => JSON.parse(text(name)) as unknown,
      });
    } else {
      it.skip(`needs ${path}, which is not there`, () => undefined);
    }
  });
}
