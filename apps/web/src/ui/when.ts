const format = new Intl.DateTimeFormat(document.documentElement.lang, {
  dateStyle: 'medium',
  timeStyle: 'short',
});

/** A time as people here write it. @param ms - since 1970 */
export const when = (ms: number): string => format.format(ms);
