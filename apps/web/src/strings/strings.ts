import { en } from './en.ts';

/** Every text of the pages. A language is a file of this shape and a line in `languages`. */
export type Strings = typeof en;

const languages: Readonly<Record<string, Strings>> = { en };

const asked = navigator.languages.map((tag) => tag.split('-')[0] ?? '');
const language = asked.find((tag) => tag in languages) ?? 'en';
document.documentElement.lang = language;

/** The texts in the first language of the browser that there are any in; otherwise in English. */
export const strings: Strings = languages[language] ?? en;
