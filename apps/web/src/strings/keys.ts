/** The words of the pages on which somebody looks after the keys of an app. */
export const keys = {
  title: 'Keys of your apps',
  summary:
    'Apps in which people share things have keys, and so have the people you share with. Here you see them, compare them and change them.',
  show: 'Show keys',
  intro:
    'Each of these apps has keys of its own. Others in the app encrypt to them what is meant for you.',
  none: 'No app that you let in has keys here.',
  openThis: (app: string) => `Open the keys of ${app}`,
  password: {
    title: (app: string) => `Your keys in ${app}`,
    why: 'Your password opens them, in this browser. Neither it nor the keys leave it.',
    open: 'Open the keys',
  },
  wrongHere: 'What the server shows does not pass a check. Nothing of it was used.',
  lies: {
    KEY_GENERATION_MISMATCH:
      'The keys that the server shows were not made with your account as it is now. That is so after the password was reset without a recovery key. If you did not reset it, somebody is deceiving you: change nothing here, and ask who runs the server.',
    KEY_LIST_INVALID: 'The server shows a list of keys that its owner did not sign.',
    KEY_LIST_ROLLBACK: 'The server shows an older list of keys than was seen before.',
    KEY_LIST_FORKED: 'There are two histories of these keys. The server may be deceiving you.',
    KEY_LIST_EXPIRED: 'This list of keys has expired, and the server shows no newer one.',
    IDENTITY_CHANGED:
      'This person has another identity than before, and their old one does not say so. Somebody may be in their place: ask them, and compare the numbers anew.',
    IDENTITY_RESET:
      'This person began anew, as after a forgotten password. It could be somebody in their place: ask them, and compare the numbers anew.',
    WRAP_MISMATCH: 'The server keeps another private key for you than the list says.',
    IDENTITY_CONFLICT:
      'Two of your devices have met different identities of this person. Ask them, and compare the numbers: the comparison decides.',
    RECORD_FORGED:
      'The record of the people you met does not open: the server may have spoiled it. Nobody is met for the first time until one of your devices writes it anew (lockstep keys audit --restore).',
    KEY_REVOKED: 'This person revoked their key and has no new one yet.',
  } as Readonly<Record<string, string>>,
  mine: {
    title: 'Your keys',
    none: 'You have no keys in this app yet. The app makes them when you use it for the first time.',
    version: (version: number) => `Version ${version} of your list.`,
    kinds: {
      'HPKE-4-KE': 'Key (X25519)',
      'HPKE-11-KE': 'Key against quantum computers, too (X-Wing)',
    },
    states: {
      active: 'in use',
      retired: 'retired: still opens what was sent to it',
      revoked: 'revoked',
    },
    since: (version: number) => `since version ${version}`,
    token: 'revoked by its paper',
  },
  history: {
    title: 'What happened to them',
    steps: {
      first: 'the first keys',
      same: 'keys changed',
      link: 'the app’s own key was changed, and the old one says so',
      reset: 'begun anew: contacts had to compare again',
    },
    entry: (version: number, time: string) => `Version ${version}, ${time}`,
  },
  change: {
    title: 'Change them',
    rotate: 'Make new keys',
    rotateWhy:
      'For good measure. Others encrypt to the new keys from now on; what was sent before still opens. Nobody has to compare anything again.',
    rotated: 'You have new keys.',
    revoke: 'Revoke the keys',
    revokeWhy:
      'When somebody else may have them, as after a theft. Others are told not to use them any more, and you get new ones. Who has the old ones can still open what was sent to them before; nothing can undo that.',
    revoked: 'The old keys are revoked, and you have new ones.',
    reset: 'Begin anew',
    resetWhy:
      'Your old keys do not open with your account as it is now. You can begin with new ones: everybody in this app is told so, must compare numbers with you again, and what was sent to the old keys stays closed for good.',
    wasReset: 'You began anew.',
    really: (what: string) => `Yes: ${what.toLowerCase()}`,
    paper: 'Save a revocation',
    paperWhy:
      'A revocation is a text to print: whoever has it can revoke your keys without any device and without your password. Keep it where you would keep a spare house key.',
    paperFile: 'lockstep-revocation.txt',
    paperText: (app: string, text: string) =>
      `Revocation of the keys in ${app}\n\n${text}\n\nWhoever hands this in revokes the key: lockstep keys revoke --token\n`,
  },
  people: {
    title: 'People you met',
    intro:
      'The server tells whose keys are whose. Compare a number with each person once, and nobody can be put between you.',
    none: 'You have met nobody in this app yet.',
    checked: 'compared',
    unchecked: 'not compared yet',
    compare: 'Compare',
    compareWith: (name: string) => `Compare with ${name}`,
    find: 'Find somebody by e-mail address',
    look: 'Find',
    notFound: 'Nobody of this address can be found in this app.',
    oneself: 'That is you. Type the address of somebody else.',
    met: (name: string) => `You met ${name}.`,
    accept: 'I asked them: take the new identity',
  },
  safety: {
    title: (name: string) => `Compare with ${name}`,
    what: 'Compare this number with the person themselves, face to face or by telephone, never by a message. They see the same in the app when they look at you, unless somebody is between you.',
    before: 'You compared with this person before, and their identity is the same since.',
    number: 'Safety number',
    qr: 'QR code for the other’s camera',
    scanned: 'Or type what the other reads to you, or what a scanner read',
    check: 'Compare what I typed',
    same: 'It is the same',
    differs: 'It differs',
    noted: 'Noted, for all your devices: you compared with this person.',
    notedHere:
      'It fits. This app lets nothing be stored, so it is noted until you leave this page, and no longer.',
    cutShort: 'A safety number has 60 digits: this is not a whole one.',
    fitsNot:
      'It does not fit. Share nothing with this person until you know why: the server may have put another key in place of theirs.',
    back: 'Back to the keys',
  },
  discoverable: {
    title: 'Who finds you',
    label: 'People in this app who know my e-mail address can find me',
    why: 'Whoever met you before still can share with you.',
    saved: 'Saved.',
  },
};
