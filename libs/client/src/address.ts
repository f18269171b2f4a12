/** Whether two spellings are of one e-mail address, as servers count them. */
export const isSameAddress = (a: string, b: string): boolean =>
  a.normalize().toLowerCase() === b.normalize().toLowerCase();
