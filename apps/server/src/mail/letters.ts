import { escapeHtml } from '../platform/html.ts';

/** What the mail of each kind says about the account, the code or the device. */
export interface MailContent {
  /** A link that proves the address, and the code in it. */
  'verify-address': { uid: string; code: string; replaces?: boolean };
  /** To be typed while signing in. */
  'sign-in-code': { uid: string; code: string };
  /** To be typed when sign-in is locked. */
  'unblock-code': { uid: string; code: string };
  'password-reset-code': { uid: string; code: string };
  'new-sign-in': { uid: string; device: string };
  'password-changed': { uid: string };
  /** Without a recovery key: what was encrypted is lost. */
  'password-reset': { uid: string };
  'recovery-key-created': { uid: string };
  'recovery-key-used': { uid: string };
  'recovery-key-removed': { uid: string };
  'second-factor-added': { uid: string; isPasskey: boolean };
  /** `isLast`: the password suffices from then on. */
  'second-factor-removed': { uid: string; isPasskey: boolean; isLast: boolean };
  /** By the operator: all of them, for who has lost them. */
  'second-factors-taken': { uid: string };
  'backup-code-used': { uid: string; left: number };
  'backup-codes-replaced': { uid: string };
  'account-deleted': { uid: string };
}
export type MailKind = keyof MailContent;

/** A mail as it is sent, save for sender, recipient and date. */
export interface Letter {
  subject: string;
  text: string;
  html: string;
  headers: Readonly<Record<string, string>>;
  /** The address that the mail is for, if it is for one. */
  link: string | undefined;
}

type Block = string | { link: string } | { code: string };
interface Words {
  subject: string;
  body: (string | { path: string } | { code: string })[];
  headers?: Record<string, string>;
}

const NOT_YOU = 'If it was not you, somebody has your password. Choose another one at once:';
const RESET = { path: '/reset_password' };
const LOOK = ['You can see what happened in your account, and sign devices out, here:'] as const;

/** One template per kind: plain words, no picture, nothing that tells who opened it. */
const words: { [Kind in MailKind]: (content: MailContent[Kind]) => Words } = {
  'verify-address': ({ uid, code, replaces = false }) => ({
    subject: 'Verify your address',
    body: [
      'Somebody, hopefully you, signed up with this address. To show that it is yours, open:',
      { path: `/verify_email?uid=${uid}&code=${code}` },
      'Or type this code where you signed up:',
      { code },
      ...(replaces
        ? [
            'An earlier sign-up with this address, which was never verified, has ended with this one.',
            'If you signed up once only, do not open the link: somebody else did, with a password of theirs. Sign up again.',
          ]
        : []),
      'If it was not you, do nothing: without this step the account cannot be used.',
    ],
    headers: { 'X-Verify-Code': code },
  }),
  'sign-in-code': ({ code }) => ({
    subject: 'Your code to sign in',
    body: [
      'To go on signing in, type this code:',
      { code },
      'Give it to nobody, whoever asks.',
      NOT_YOU,
      RESET,
    ],
    headers: { 'X-Signin-Verify-Code': code },
  }),
  'unblock-code': ({ code }) => ({
    subject: 'Your code to unlock the sign-in',
    body: [
      'There were many attempts to sign in to your account, so it is locked for a while.',
      'If you are the one who wants to sign in, type this code and your password:',
      { code },
      'It is good for an hour. If it is not you, do nothing, and give the code to nobody.',
    ],
    headers: { 'X-Unblock-Code': code },
  }),
  'password-reset-code': ({ code }) => ({
    subject: 'Your code to choose a new password',
    body: [
      'Somebody, hopefully you, has forgotten the password of your account. To choose another, type this code:',
      { code },
      'If it was not you, do nothing, and give the code to nobody.',
    ],
    headers: { 'X-Password-Forgot-Otp': code },
  }),
  'new-sign-in': ({ device }) => ({
    subject: 'A new sign-in to your account',
    body: [
      `Somebody, hopefully you, signed in to your account with ${plain(device)}.`,
      ...LOOK,
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'password-changed': () => ({
    subject: 'Your password was changed',
    body: [
      'The password of your account was changed. Other devices ask for the new one.',
      NOT_YOU,
      RESET,
    ],
  }),
  'password-reset': () => ({
    subject: 'Your password was reset',
    body: [
      'A new password was chosen for your account by a code that was mailed to you. Every device was signed out.',
      'What was encrypted under the old password can be read no more, except on devices that still have it.',
      'Where people share things with you, new keys are needed: begin anew under “Keys of your apps”. Then these people have to compare numbers with you again.',
      'If it was not you, somebody reads your mail.',
      ...LOOK,
      { path: '/settings' },
    ],
  }),
  'recovery-key-created': () => ({
    subject: 'A recovery key was made',
    body: [
      'Your account has a new recovery key. Whoever has it and your mail can choose a new password and read your data.',
      ...LOOK,
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'recovery-key-used': () => ({
    subject: 'Your recovery key was used',
    body: [
      'A new password was chosen for your account with your recovery key, which is used up. Your data is kept.',
      'To make another key, or to see what happened in your account, open:',
      { path: '/settings' },
      'If it was not you, somebody has your recovery key and reads your mail.',
    ],
  }),
  'recovery-key-removed': () => ({
    subject: 'Your recovery key was removed',
    body: [
      'The recovery key of your account is good no more.',
      'Without one, whoever forgets his password loses his data. To make another, open:',
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'second-factor-added': ({ isPasskey }) => ({
    subject: isPasskey ? 'A passkey was added' : 'An authenticator was added',
    body: [
      `Signing in to your account now also asks for ${isPasskey ? 'a passkey' : 'a code of your authenticator'}. Devices that were signed in before stay so.`,
      ...LOOK,
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'second-factor-removed': ({ isPasskey, isLast }) => ({
    subject: isPasskey ? 'A passkey was removed' : 'Your authenticator was removed',
    body: [
      isPasskey
        ? 'A passkey of your account is good no more.'
        : 'The authenticator of your account is good no more.',
      isLast
        ? 'Signing in asks for your password alone, and your backup codes are good no more.'
        : 'Signing in still asks for another second factor.',
      ...LOOK,
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'second-factors-taken': () => ({
    subject: 'Your second factors were taken away',
    body: [
      'Whoever runs the server has taken the second factors of your account away, for somebody, hopefully you, who had lost them. Signing in asks for your password alone, and your backup codes are good no more.',
      'To add a second factor, open:',
      { path: '/settings/second_factors' },
      'If you did not ask for it, tell whoever runs the server, and choose another password at once:',
      RESET,
    ],
  }),
  'backup-code-used': ({ left }) => ({
    subject: 'A backup code was used',
    body: [
      `Somebody, hopefully you, used a backup code of your account. ${left} are left.`,
      'To make others, or to see what happened in your account, open:',
      { path: '/settings/second_factors' },
      'If it was not you, somebody has your backup codes, and your password or your mail. Choose another password at once:',
      RESET,
    ],
  }),
  'backup-codes-replaced': () => ({
    subject: 'New backup codes were made',
    body: [
      'Your account has new backup codes. The ones before are good no more.',
      ...LOOK,
      { path: '/settings' },
      NOT_YOU,
      RESET,
    ],
  }),
  'account-deleted': () => ({
    subject: 'Your account was deleted',
    body: [
      'Your account is deleted, and what it stored on the server goes with it within minutes.',
      'Backups that whoever runs the server has made keep it until they are thrown away.',
    ],
  }),
};

/**
 * Writes a mail.
 *
 * @param at - makes the public address of a path
 */
export function compose<Kind extends MailKind>(
  kind: Kind,
  content: MailContent[Kind],
  at: (path: string) => string,
): Letter {
  const { subject, body, headers } = words[kind](content);
  const blocks = body.map((block) =>
    typeof block === 'object' && 'path' in block ? { link: at(block.path) } : block,
  );
  const [only] = kind === 'verify-address' ? blocks.filter(isLink) : [];
  return {
    subject,
    text: `${blocks.map(asText).join('\n\n')}\n`,
    html: asPage(subject, blocks),
    headers: { 'X-Uid': content.uid, ...headers },
    link: only?.link,
  };
}

const isLink = (block: Block) => typeof block === 'object' && 'link' in block;

/** What a device calls itself, on one line and not for long. */
const plain = (name: string) =>
  name
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, 80);

function asText(block: Block): string {
  if (typeof block === 'string') return block;
  return 'link' in block ? block.link : `    ${block.code}`;
}

function asHtml(block: Block): string {
  if (typeof block === 'string') return `<p>${escapeHtml(block)}</p>`;
  if ('code' in block) {
    return `<p style="font-size:1.5em;letter-spacing:.1em;overflow-wrap:anywhere"><b>${escapeHtml(block.code)}</b></p>`;
  }
  const link = escapeHtml(block.link);
  return `<p><a href="${link}">${link}</a></p>`;
}

const asPage = (title: string, blocks: readonly Block[]): string =>
  [
    '<!doctype html>',
    `<html lang="en"><meta charset="utf-8"><title>${escapeHtml(title)}</title>`,
    '<body style="font-family:sans-serif;max-width:36em;line-height:1.5">',
    ...blocks.map(asHtml),
    '</body></html>\n',
  ].join('\n');
