/** For who has no picture. */
export const DEFAULT_PICTURE = [
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img">',
  '<rect width="64" height="64" fill="#8a97a8"/>',
  '<circle cx="32" cy="25" r="12" fill="#fff"/>',
  '<path d="M8 64a24 22 0 0 1 48 0z" fill="#fff"/>',
  '</svg>\n',
].join('');
