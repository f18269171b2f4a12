import { signal } from '@preact/signals';

/** Where the page is. */
export const here = signal(new URL(location.href));

/** What the address asked for when the page was loaded; a secret in it is taken out by `clearQuery`. */
export const arrivedWith = new URLSearchParams(location.search);

window.addEventListener('popstate', () => {
  here.value = new URL(location.href);
});

/** Goes to another of these pages. @param path - with a slash; never what somebody else wrote */
export function goTo(path: string, { replace = false } = {}): void {
  history[replace ? 'replaceState' : 'pushState'](null, '', path);
  here.value = new URL(location.href);
  window.scrollTo(0, 0);
}

/** Takes a code or a token out of the address, so that it is neither in the history nor in a Referer. */
export function clearQuery(): void {
  history.replaceState(null, '', location.pathname);
}
