import type { SecurityEventName } from '#lib/protocol';
import { apps } from './apps.ts';
import { consent, scopes } from './consent.ts';
import { pairing } from './pairing.ts';
import { keys } from './keys.ts';
import { secondFactors } from './second-factors.ts';

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
  'errno-107': 'Something that was typed cannot be used. Look at it once more.',
  'errno-110': 'You were signed out. Sign in again.',
  'errno-111': 'The clock of this device differs too much from the server’s.',
  'errno-127': 'This code to unlock does not fit, or it is too old.',
  'errno-120': 'Write the address exactly as it was at sign-up.',
  'errno-138': 'The second factor was not given yet. Sign in again.',
  'errno-160': 'This needs the second factor once more.',
  'errno-164': 'This needs the password once more.',
  'errno-162': 'The server does not know this app.',
  'errno-163': 'This app asks for more than it may have.',
  'errno-201': 'The server cannot do this now. Try again in a moment, or tell whoever runs it.',
  'errno-202':
    'This server takes no new account of this address without an invitation. If you have one, enter its code.',
  unknown_user_code: 'No device shows this code, or it is too old. Look at the device once more.',
  login_required: 'The password must be given once more. Begin again in the app.',
  network: 'The server cannot be reached.',
  timeout: 'The server did not answer in time.',
};

/** The catalogue. Texts with something in them are functions. */
export const en = {
  name: 'Lockstep',
  noScript: 'These pages derive your keys on this device, and need JavaScript for it.',
  insecure:
    'Here you cannot sign in or make an account: this page came without https, and browsers derive no keys then. Whoever runs the server can put https in front of it; on that computer itself, http://localhost will do.',
  promise:
    'Your password and keys stay on this device. But whoever serves this page could change it: the command line, and a Firefox once it is signed in, do not depend on it.',
  back: 'Back',
  cancel: 'Cancel',
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
    unblockCode: 'Code to unlock',
    newPassword: 'New password',
    newPasswordHint: 'At least 8 characters; long and known to nobody is best.',
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
    locked:
      'There were too many attempts. A code that is mailed to you lets you in now; otherwise wait.',
    sendUnblock: 'Mail me a code',
    unblockSent: 'If there is an account with this address, a code is on its way to it.',
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
  reset: {
    title: 'Forgot the password?',
    intro: 'We mail a code to your address. With it you set another password.',
    send: 'Send the code',
    codeTitle: 'Look into your mail',
    sent: (email: string) =>
      `If there is an account with ${email}, a code of 8 digits is on its way to it. It is good for a few minutes.`,
    goOn: 'Go on',
    setTitle: 'Set a new password',
    recoveryKey: 'Recovery key',
    recoveryKeyHint:
      'Eight groups of four, from the paper or file that you kept. It saves your data.',
    keyWrong: 'This is not the recovery key of this account. Look at every group once more.',
    withoutKey: 'I do not have the key',
    loss: 'Nobody can open what is stored on this server without the old password or a recovery key: it is given up. Devices that are connected keep their own copy and upload it again when they are signed in with the new password. Every device and app is signed out. Where people share things with you, you begin with new keys, and they have to compare numbers with you again.',
    knowsLoss: 'I know: what is stored on the server alone will be lost',
    sayYouKnow: 'Confirm that you know what is lost.',
    set: 'Set the password',
  },
  settings: {
    title: 'Your account',
    profile: {
      title: 'How apps see you',
      name: 'Display name',
      save: 'Save',
      saved: 'Saved.',
      picture: 'Your picture',
      preview: 'How it will look',
      changePicture: 'Change the picture',
      pictureNote:
        'Its middle is drawn anew, 256 × 256 pixels, before it is sent: where and when it was taken stays on this device. The server and the apps that may see your profile can see it; it is not encrypted.',
      file: 'A picture of yours',
      noPicture: 'Choose a file that is a picture.',
      removePicture: 'Have no picture',
    },
    password: {
      title: 'Password',
      summary: 'It opens the account and locks your data.',
      change: 'Change the password',
      note: 'Your data stays as it is. All other devices and apps are signed out.',
      old: 'Current password',
      wrong: 'The current password is wrong.',
      done: 'The password is changed.',
    },
    recovery: {
      title: 'Recovery key',
      exists: 'There is one. With it, a forgotten password does not cost your data.',
      missing:
        'There is none. Without one, a forgotten password costs what is stored on the server.',
      make: 'Make a recovery key',
      replace: 'Replace the recovery key',
      what: 'A recovery key is 32 letters and digits on paper. Whoever has it and can read your mail can open your data.',
      replaceNote: 'The key that you have now becomes worthless.',
      makeIt: 'Make it',
      remove: 'Remove the recovery key',
      yours: 'This is your recovery key',
      keep: 'Keep it on paper or in a file, away from this device. It is shown this once.',
      download: 'Download',
      print: 'Print',
      lastGroup: 'To show that you have it, type its last group of four',
      otherGroup: 'That is another group. It begins after the last space.',
      kept: 'I have it',
      stored: 'The recovery key is stored',
      storedText: 'If you forget your password, have this key and your mailbox at hand.',
      fileName: 'lockstep-recovery-key.txt',
      fileText: (email: string, server: string, key: string) =>
        `Recovery key of ${email} at ${server}\n\n${key}\n\nWhoever has it and can read the mail of this address can open your data.\n`,
    },
    clients: {
      title: 'Devices and apps',
      summary: 'What is signed in to your account.',
      show: 'Show devices and apps',
      intro: 'Sign out what you do not know, and then change your password.',
      current: 'this page',
      unnamed: 'A session',
      used: (time: string) => `used ${time}`,
      rename: 'Rename',
      renameThis: (name: string) => `Rename ${name}`,
      newName: 'New name',
      saveName: 'Save',
      signOut: 'Sign out',
      signOutThis: (name: string) => `Sign ${name} out`,
      types: {
        desktop: 'Computer',
        mobile: 'Phone',
        tablet: 'Tablet',
        vr: 'Headset',
        tv: 'Television',
      },
    },
    connect: {
      title: 'Connect another device',
      desktop: 'Firefox on a computer',
      desktopSteps: (server: string): readonly (readonly [string, string, string])[] => [
        ['Open', 'about:config', 'in a new tab.'],
        ['Set', 'identity.fxaccounts.autoconfig.uri', `to ${server}, as a string.`],
        ...(server.startsWith('http:')
          ? [
              [
                'Set',
                'identity.fxaccounts.allowHttp',
                'to true, since this server has no https.',
              ] as const,
            ]
          : []),
        ['Start Firefox again, and choose “Sign in” in its menu.', '', ''],
      ],
      android: 'Firefox for Android',
      androidText: (server: string) =>
        `In the settings, open “About Firefox” and tap the logo five times. Back in the settings, “Custom Mozilla account server” is ${server}, and “Custom Sync server” is ${server}/token/1.0/sync/1.5. Set both before you sign in.`,
      ios: 'Firefox for iOS',
      iosText: (server: string) =>
        `In the settings, tap the version five times. In “Advanced account settings”, the account server is ${server}, and the token server is ${server}/token/1.0/sync/1.5.`,
    },
    activity: {
      title: 'What happened lately',
      none: 'Nothing yet.',
      names: {
        'account.create': 'The account was made',
        'account.login': 'Somebody signed in',
        'account.login.failure': 'Somebody typed a wrong password',
        'account.email_verified': 'The address was confirmed',
        'account.password_changed': 'The password was changed',
        'account.password_reset_requested': 'Somebody asked for a code to reset the password',
        'account.password_reset': 'The password was reset by mail',
        'account.recovery_key_added': 'A recovery key was made',
        'account.recovery_key_used': 'The recovery key was used',
        'account.recovery_key_removed': 'The recovery key was removed',
        'account.two_factor_added': 'An authenticator was added',
        'account.two_factor_removed': 'The authenticator was removed',
        'account.two_factor_challenge_failure': 'Somebody gave a wrong second factor',
        'account.passkey_added': 'A passkey was added',
        'account.passkey_removed': 'A passkey was removed',
        'account.recovery_codes_replaced': 'New backup codes were made',
        'account.recovery_code_used': 'A backup code was used',
        'device.connected': 'A device was connected',
        'device.removed': 'A device was signed out',
        'session.ended': 'A session ended',
        'app.connected': 'An app was let in, or may do more',
        'app.revoked': 'The access of an app was revoked',
        'app.key_rotated': 'The key of an app was replaced, and its devices were signed out',
      } satisfies Record<SecurityEventName, string>,
    },
    leave: {
      title: 'Leave',
      button: 'Sign out',
      firefox: 'You came from a Firefox that is signed in: it is signed out with this page.',
    },
    remove: {
      title: 'Delete the account',
      what: 'This deletes the account and everything that this server keeps for it: bookmarks, passwords, records, files, keys. It cannot be taken back. Devices keep their own copies.',
      sure: 'Delete all of it',
      notSure: 'Say first that all of it is to be deleted.',
      account: (email: string) => `The account is ${email}.`,
      button: 'Delete the account',
    },
  },
  apps,
  consent,
  scopes,
  deleted: {
    title: 'The account is deleted',
    text: 'What was stored for it is being erased. You can close this page.',
  },
  hasPassword: {
    title: 'Your account has a password',
    text: 'Every account here has one from the beginning. You can change it.',
  },
  pairing,
  keys,
  secondFactors,
  goOn: 'Go on',
  notFound: {
    title: 'There is no such page',
    text: 'Perhaps the address was cut off.',
  },
};
