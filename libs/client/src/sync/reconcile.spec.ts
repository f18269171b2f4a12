import { recordDigest } from './local-records.ts';
import { reconcile, type Verdict } from './reconcile.ts';

describe('What to do with a record of the server', () => {
  it.each<[Verdict, string, Parameters<typeof reconcile>[0]]>([
    ['same', 'both have it', { base: 'a', here: 'b', there: 'b' }],
    ['same', 'both deleted it', { base: 'a', here: null, there: null }],
    ['take', 'it changed there alone', { base: 'a', here: 'a', there: 'b' }],
    ['take', 'it was deleted there alone', { base: 'a', here: 'a', there: null }],
    ['take', 'it is new there', { base: undefined, here: null, there: 'b' }],
    ['take', 'it was deleted here and changed there', { base: 'a', here: null, there: 'b' }],
    ['keep', 'it was changed here and deleted there', { base: 'a', here: 'b', there: null }],
    ['keep', 'it is new here and a deletion there', { base: undefined, here: 'a', there: null }],
    ['keep', 'it came again here after a deletion', { base: null, here: 'a', there: null }],
    ['conflict', 'both changed it', { base: 'a', here: 'b', there: 'c' }],
    ['conflict', 'both have one, and nothing is known', { base: undefined, here: 'a', there: 'b' }],
  ])('is "%s" when %s', (verdict, _, versions) => {
    expect(reconcile(versions)).toBe(verdict);
  });
});

describe('The digest of a record', () => {
  const digest = (fields: object) => recordDigest({ ...fields, id: 'x' });

  it('is that of its content, in whatever order', () => {
    expect(digest({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(
      digest({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }),
    );
  });

  it.each([
    [{ a: { b: 1 } }, { a: [['b', 1]] }],
    [{ a: [1, 2] }, { a: [2, 1] }],
    [{ a: null }, {}],
    [{ a: '1' }, { a: 1 }],
    [{ a: {} }, { a: [] }],
    [JSON.parse('{"__proto__":{"a":1}}') as object, {}],
  ])('tells %j from %j', (one, other) => {
    expect(digest(one)).not.toBe(digest(other));
  });
});
