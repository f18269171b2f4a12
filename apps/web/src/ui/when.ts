import '../strings/strings.ts'; // which says the language of the document

const { lang } = document.documentElement;
// The region of the browser, in the language of the page.
const locale = navigator.languages.find((tag) => tag.split('-')[0] === lang) ?? lang;
const format = new Intl.DateTimeFormat(locale, {
  dateStyle: 'medium',
  timeStyle: 'short',
});

/** A time as people here write it. @param ms - since 1970 */
export const when = (ms: number): string => format.format(ms);
