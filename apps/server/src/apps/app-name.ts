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
  b: 'вβʙьɓß8',
  c: 'сϲᴄς¢ϛ',
  d: 'ԁᴅđɗժðɖ',
  e: 'еεᴇ3ҽєɛəǝʒ',
  f: 'ғꜰƒϝ',
  g: 'ɡɢցɠǥ9',
  h: 'һհʜħнη',
  j: 'јʝյ',
  k: 'кκᴋƙқ',
  l: 'iı1|!ӏіɩιʟłլїɪ١۱',
  m: 'мᴍ',
  n: 'пոɴղŋɲ',
  o: 'оοօ0ᴏøσоө٥۵',
  p: 'рρᴘթþք',
  q: 'ԛզ',
  r: 'гʀɾґ',
  s: 'ѕꜱ5$ʂ',
  t: 'тτᴛŧ+7',
  u: 'υսᴜʋ',
  v: 'νѵᴠ',
  w: 'ԝωᴡшա',
  x: 'хχ×',
  y: 'уγʏүɣƴ',
  z: 'ᴢƶʐʑ2',
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

/**
 * The alphabets of a name, one in each word. In others, which few can read, whole words are drawn like Latin ones.
 *
 * @see UAX 31 table 5, UTS 39 §5.2
 */
const ALPHABETS = [
  ...[
    'Latin',
    'Cyrillic',
    'Greek',
    'Armenian',
    'Georgian',
    'Hebrew',
    'Arabic',
    'Thaana',
    'Ethiopic',
  ],
  ...['Devanagari', 'Bengali', 'Gurmukhi', 'Gujarati', 'Oriya', 'Tamil', 'Telugu', 'Kannada'],
  ...['Malayalam', 'Sinhala', 'Thai', 'Lao', 'Tibetan', 'Myanmar', 'Khmer'],
].map((name) => new RegExp(`\\p{Script=${name}}`, 'u'));
/** Chinese, Japanese and Korean are written with several. */
const EASTERN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Bopomofo}\p{Script=Hangul}]/u;
const OF_ALL = /[\p{Script=Common}\p{Script=Inherited}]/u;

/** Latin letters, besides those with marks, that people write words with; the rest is phonetics and history. */
const LATIN = /[a-zæœøðþßđħıłŋŧəǝɛɔɓɗɖƒɣƙɲʋƴʒǥ]/;
/** What is no letter, and drawn like one. */
const SIGN_IN_WORD = /[\p{L}\p{M}\p{N}](?!\p{ASCII})\p{S}|(?!\p{ASCII})\p{S}[\p{L}\p{N}]/u;

/** @returns what is wrong with the letters of a word; undefined for nothing */
function oddIn(word: string): string | undefined {
  const plain = Array.from(word.normalize('NFKD').toLowerCase());
  const own = plain.filter((character) => !OF_ALL.test(character));
  const alphabets = [...ALPHABETS, EASTERN].filter((one) => own.some((letter) => one.test(letter)));
  if (alphabets.length > 1) return `A word is of one alphabet: ${word}.`;
  const [alphabet] = alphabets;
  const isOdd = own.some((letter) => alphabet?.test(letter) !== true);
  if (isOdd) return `Few people can read the alphabet of a word: ${word}.`;
  const isLatin = own.some((letter) => /\p{Script=Latin}/u.test(letter));
  const fits = (character: string) => LATIN.test(character) || /[0-9]|\p{M}/u.test(character);
  if (isLatin && !plain.every(fits)) return `Few people can read a letter of a word: ${word}.`;
  return undefined;
}

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
  if (SIGN_IN_WORD.test(name.normalize('NFKC'))) refuse('A sign stands apart from letters.');
  for (const word of name.split(/[^\p{L}\p{M}\p{N}]+/u)) {
    const odd = oddIn(word);
    if (odd !== undefined) refuse(odd);
  }
  return name;
}
