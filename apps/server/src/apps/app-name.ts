import { Failure } from '#lib/protocol';

const CHARACTERS_MAX = 64;

/** Controls, what is not seen, what turns text around, private use, and what begins HTML or an address. */
const UNFIT = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}<>@\\]|\/\//u;
/** Signs piled up over a line of text. */
const PILED_UP = /\p{M}{3}/u;
const OTHER_SPACES = /(?! )\p{Zs}/u;

/** Letters of other alphabets, and signs, that are taken for a Latin letter: in Unicode's UTS 39 and others. */
const lookAlikes: Readonly<Record<string, string>> = {
  a: 'аαɑᴀ@4',
  b: 'вβʙьɓ',
  c: 'сϲᴄς¢ϛ',
  d: 'ԁᴅđɗժ',
  e: 'еεᴇ3ҽєɛ',
  f: 'ғꜰƒϝ',
  g: 'ɡɢցɠ',
  h: 'һհʜħнη',
  j: 'јʝյ',
  k: 'кκᴋƙқ',
  l: 'iı1|!ӏіɩιʟłլїɪ',
  m: 'мᴍ',
  n: 'пոɴղŋ',
  o: 'оοօ0ᴏøσоө',
  p: 'рρᴘթ',
  q: 'ԛզ',
  r: 'гʀɾґ',
  s: 'ѕꜱ5$ʂ',
  t: 'тτᴛŧ+',
  u: 'υսᴜʋ',
  v: 'νѵᴠ',
  w: 'ԝωᴡшա',
  x: 'хχ×',
  y: 'уγʏү',
  z: 'ᴢƶʐʑ',
};
const latin = new Map(
  Object.entries(lookAlikes).flatMap(([letter, others]) =>
    Array.from(others, (other) => [other, letter] as const),
  ),
);

/**
 * A name as a hasty eye takes it: two that look alike are the same here. Only to be compared.
 *
 * @see UTS 39 §4, of which it is a coarse likeness
 */
export function likenessOf(name: string): string {
  const plain = name.normalize('NFKD').replaceAll(/\p{M}/gu, '').toLowerCase();
  return Array.from(plain, (character) => latin.get(character) ?? character)
    .join('')
    .replaceAll(/[^\p{L}\p{N}]/gu, '')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w');
}

/** Whom nobody is to be taken for, wherever it stands in a name. */
const PROTECTED = ['Lockstep', 'Firefox', 'Mozilla', 'Thunderbird'].map(likenessOf);
/** What the pages of this server call themselves. */
const OWN_PAGES = new Set(
  [
    ...['Account', 'Accounts', 'Account pages', 'Settings', 'Sign in', 'Security', 'Password'],
    ...['Support', 'Help', 'Administrator', 'Admin', 'Operator', 'System', 'This server'],
  ].map(likenessOf),
);

/** Whether a name may be taken for this server, or for a browser that it knows. */
export function imitates(name: string): boolean {
  const likeness = likenessOf(name);
  return OWN_PAGES.has(likeness) || PROTECTED.some((other) => likeness.includes(other));
}

/** Alphabets that share shapes with the Latin one. */
const ALPHABETS = [
  /\p{Script=Latin}/u,
  /\p{Script=Cyrillic}/u,
  /\p{Script=Greek}/u,
  /\p{Script=Armenian}/u,
  /\p{Script=Cherokee}/u,
  /\p{Script=Coptic}/u,
  /\p{Script=Lisu}/u,
];

/**
 * @returns the name as it is kept: without spaces around, in NFC
 * @throws Failure `invalid-parameter`
 */
export function checkName(text: string): string {
  const name = text.normalize('NFC').trim().replaceAll(/ +/g, ' ');
  const refuse = (why: string) => {
    throw new Failure('invalid-parameter', `client_name: ${why}`);
  };
  if (!/[\p{L}\p{N}]/u.test(name)) refuse('An app has a name.');
  if (Array.from(name).length > CHARACTERS_MAX) refuse(`At most ${CHARACTERS_MAX} characters.`);
  if (UNFIT.test(name) || PILED_UP.test(name) || OTHER_SPACES.test(name)) {
    refuse('It has characters that cannot be seen, or do not belong into a name.');
  }
  for (const word of name.split(/[^\p{L}\p{M}\p{N}]+/u)) {
    if (ALPHABETS.filter((alphabet) => alphabet.test(word)).length > 1) {
      refuse(`A word is of one alphabet: ${word}.`);
    }
  }
  return name;
}
