/** What a scope lets an app do. Every scope that an app can ask for has its sentence. */
export const scopes: Readonly<Record<string, string>> = {
  openid: 'know that it is you, by the number of your account',
  profile: 'see your e-mail address, display name and picture',
  'profile:write': 'change your display name and picture',
  offline_access: 'keep its access while you are away, until you take it back',
  app_key: 'receive its own encryption key, and no other',
  'keys:read': 'read your own keys of this app',
  'keys:write': 'publish your keys of this app',
  'keys:discover': 'look up the public keys of other people in this app',
  storage: 'read and write its own synced records',
  'storage#read': 'read its own synced records',
  'https://identity.mozilla.com/apps/oldsync': 'read and write your Firefox data',
  'https://identity.mozilla.com/apps/oldsync#read': 'read your Firefox data',
  'https://identity.mozilla.com/tokens/session': 'sign in to your account as this browser does',
  'https://identity.thunderbird.net/apps/sync': 'read and write your Thunderbird data',
  files: 'read its own encrypted files and files shared with you',
  'files:write': 'store, share and delete its own encrypted files',
  'share:send': 'leave encrypted messages for other people in this app',
};

/** What people read where an app, or a device, asks for access, and where they take it back. */
export const consent = {
  signIn: (app: string) => `Sign in to ${app}`,
  intro: (app: string, host: string) =>
    `${app} (${host}) asks for access to your account. What you have not allowed it before, you see before you decide.`,
  introKnown: (app: string, time: string) =>
    `You let ${app} in before (${time}). It asks for nothing new: with your password, it goes on.`,
  knownTitle: (app: string) => `Go on to ${app}?`,
  known: (app: string, time: string) =>
    `You let ${app} in before (${time}). It asks for nothing new.`,
  goOnAs: (email: string) => `Go on as ${email}`,
  title: (app: string) => `${app} asks for access`,
  grownTitle: (app: string) => `${app} asks for more`,
  grown: (app: string, time: string) =>
    `You let ${app} in before (${time}). Now it asks for more than then.`,
  as: (email: string) => `You are ${email}.`,
  mayDo: 'If you allow it, the app can:',
  isNew: 'new',
  ownKey:
    'It gets an encryption key of its own, made from your password. With it, it opens its own data alone: it never learns your password, and cannot read the data of other apps, of Firefox, or what you keep elsewhere here.',
  noKey:
    'It gets no encryption key: it never learns your password, and cannot read what you keep encrypted on this server.',
  lasts: 'This lasts until you take it back under “Devices and apps” in your settings.',
  goesTo: (host: string) => `The answer goes to: ${host}`,
  thisDevice: 'a program on this device',
  by: {
    'built-in': 'It comes with this server.',
    operator: 'Whoever runs this server added it.',
    developer:
      'Somebody with an account on this server added it. Nobody has checked that its name is true.',
  },
  links: { client_uri: 'Website', policy_uri: 'What it does with data', tos_uri: 'Its terms' },
  newWindow: '(in a new window)',
  allow: 'Allow',
  refuse: 'Refuse',
  gone: 'Nobody asks for access here',
  goneText: 'It began in another browser, or it is over. Begin again in the app.',
  device: {
    title: 'Connect a device',
    intro: 'Type the code that your device shows: a television, a program in a terminal, a watch.',
    code: 'Code on the device',
    codeHint: 'Eight letters, such as BCDF-GHJK.',
    goOn: 'Go on',
    warning:
      'Go on only if you began this yourself, with the device before you. If somebody sent you a link or a code, they want to get into your account: do not go on.',
    signIn: (app: string) => `${app} on a device asks for access`,
    question: 'Does your device show this code?',
    from: (program: string) => `The program on it, by its own word: ${program}`,
    near: 'It asked from the same network as this page.',
    far: 'It asked from another network than this page. Be careful, unless you know why.',
    allow: 'Yes, it shows this code: allow',
    refuse: 'No, refuse',
    done: 'The device is connected',
    doneText: (app: string) => `You can go back to it: ${app} goes on by itself in a few seconds.`,
    refused: 'The device was refused',
    refusedText: 'It gets nothing. You can close this page.',
  },
  apps: {
    title: 'Apps',
    intro:
      'What you let in, and what it can do. Revoke what you do not use any more: it is signed out on all devices, and what it stored is kept.',
    none: 'You have let no app in yet.',
    since: (time: string) => `since ${time}`,
    used: (time: string) => `last used ${time}`,
    unused: 'not used yet',
    can: 'It can:',
    revoke: 'Revoke',
    revokeThis: (app: string) => `Revoke the access of ${app}`,
    keyStays:
      'Revoked or not, people who use the app find your public key in it. Hide or revoke the key before:',
    keys: (app: string) => `your keys in ${app}`,
    keyStayed: (app: string) =>
      `People who use ${app} still find your public key there; to hide or revoke it, let the app in again.`,
    revoked: (app: string) =>
      `${app} gets no access any more; a program of it that is open now can go on with synced records for up to an hour. What it stored here stays encrypted; the app itself may keep copies, and the key that it was given.`,
  },
};
