/** The words for what Firefox can sync, by its engine's name. */
const engines: Readonly<Record<string, string>> = {
  addons: 'Add-ons',
  addresses: 'Addresses',
  bookmarks: 'Bookmarks',
  creditcards: 'Payment methods',
  history: 'History',
  passwords: 'Passwords',
  prefs: 'Settings',
  tabs: 'Open tabs',
};

/** What went wrong, by the code of a ClientError. */
const errors: Readonly<Record<string, string>> = {
  'errno-101': 'There is already an account with this address. Sign in instead.',
  'errno-102': 'The address or the password is wrong.',
  'errno-103': 'The address or the password is wrong.',
  'errno-104': 'This address is not confirmed yet.',
  'errno-105': 'This code does not fit, or it is too old.',
  'errno-107': 'Something that was typed cannot be used. Look at the address once more.',
  'errno-110': 'You were signed out. Sign in again.',
  'errno-111': 'The clock of this device differs too much from the server’s.',
  'errno-120': 'Write the address exactly as it was at sign-up.',
  'errno-162': 'The server does not know this app.',
  'errno-163': 'This app asks for more than it may have.',
  'errno-201': 'The server is busy. Try again in a moment.',
  'errno-202': 'This server takes new accounts by invitation only. Enter the code of yours.',
  network: 'The server cannot be reached.',
  timeout: 'The server did not answer in time.',
};

/** The catalogue. Texts with something in them are functions. */
export const en = {
  name: 'Lockstep',
  noScript: 'These pages derive your keys on this device, and need JavaScript for it.',
  promise:
    'Your password and keys stay on this device. But whoever serves this page could change it: the command line, and a Firefox once it is signed in, do not depend on it.',
  back: 'Back',
  cancel: 'Cancel',
  working: 'One moment …',
  engines,
  errors,
  errorOther: (code: string) => `That did not work (${code}).`,
  errorThrottled: (minutes: number) =>
    minutes <= 1
      ? 'Too many attempts. Try again in a minute.'
      : `Too many attempts. Try again in ${minutes} minutes.`,
  fields: {
    email: 'E-mail address',
    password: 'Password',
    show: 'Show password',
    invitation: 'Invitation code',
    code: 'Code from the mail',
  },
  enter: {
    title: 'Sign in',
    titleNew: 'Create an account',
    titleFirefox: 'Sign in to sync Firefox',
    intro:
      'This server keeps bookmarks, passwords, records and files that it cannot read: everything is encrypted on the devices of the people who use it.',
    introFirefox: 'Then Firefox syncs with this server, which cannot read what it keeps.',
    signIn: 'Sign in',
    signUp: 'Create account',
    or: 'or',
    newHere:
      'New here? Type an address and a password of at least 8 characters, and create an account. The password also locks your data: nobody can give it back to you.',
    forgot: 'Forgot the password?',
    passwordShort: 'Take a password of at least 8 characters: it is what protects your data.',
    emailOdd: 'This is no e-mail address.',
    sync: 'Choose what to sync',
    syncNote: 'For a new account. You can change it in Firefox at any time.',
  },
  confirm: {
    title: 'Confirm your address',
    sent: (email: string) => `A mail is on its way to ${email}. Open its link, or type its code:`,
    button: 'Confirm',
    again: 'Send another mail',
    sentAgain: 'Another mail is on its way.',
    waiting: 'This page goes on by itself once the address is confirmed.',
  },
  verify: {
    title: 'Is this address yours?',
    text: 'If you signed up with it, confirm. If you did not, close this page: nothing happens.',
    button: 'Yes, it is mine',
    done: 'Your address is confirmed',
    doneText: 'You can close this page and go on where you signed up.',
    broken: 'This link does not work',
    brokenText: 'It is incomplete, expired, or was replaced. Ask for another one.',
  },
  connected: {
    title: 'Firefox is connected',
    text: (email: string) => `It syncs with ${email} now. You can close this page.`,
    refused: 'Firefox was not connected, since it belongs to another account.',
    silent: 'Firefox did not answer. Open this page from the settings of Firefox.',
    failed: 'Firefox could not finish. Begin again from its settings.',
    broken: 'Something is missing in this address. Begin again from the settings of Firefox.',
  },
  notFound: {
    title: 'There is no such page',
    text: 'Perhaps the address was cut off.',
    home: 'To the first page',
  },
};
