/** The words of pairing: one device signs another in. */
export const pairing = {
  pair: {
    title: 'Connect another device',
    loading: 'One moment. This page asks whether the browser is a Firefox …',
    intro:
      'A telephone, or a Firefox on another computer, gets in by a code that this Firefox shows. You do not type your password there.',
    steps: [
      'On the telephone, open Firefox, its menu or settings, “Sign in”, and “Scan the code”.',
      'Show the code here, and hold the camera over it.',
      'Say on both devices that it is you.',
    ],
    show: 'Show the code',
    notSignedIn: 'This Firefox is not signed in yet. Sign in first, in its settings under “Sync”.',
    noCodes: 'This Firefox shows no codes. Sign in on the other device instead.',
    elsewhere:
      'The code is shown by a Firefox that is signed in. Open this page in such a Firefox on your computer.',
    other: 'Connect it without a code',
  },
  supplicant: {
    title: 'Connect this device',
    joining: 'One moment. This device is being introduced to the other one …',
    as: (email: string) => `It would be signed in as ${email}.`,
    shownBy: (device: string) => `The code was shown by: ${device}`,
    mine: 'Go on only if this is your account: what this device holds would be put in it.',
    confirm: 'Yes, connect this device',
    refuse: 'No',
    waitingTitle: 'Now the other device',
    waiting: 'Say there, too, that it is you.',
    doneTitle: 'This device is connected',
    done: 'You can close this page.',
    failedTitle: 'That did not work',
    failed:
      'The two devices lost each other, or the code was not whole. Show a new code, and scan it.',
    refused: 'This device was not connected.',
    signedIn:
      'This Firefox is signed in already. Sign it out first, to sign it in as somebody else.',
    notFirefoxTitle: 'This code is for Firefox',
    notFirefox:
      'This is another browser. Open Firefox on this device, its menu or settings, “Sign in”, and scan the code there.',
    broken: 'Something in the address of this page is missing. Begin again in Firefox.',
  },
  authority: {
    title: 'Connect another device?',
    as: (email: string) => `It would be signed in to your account, ${email}, and could:`,
    what: 'It says that it is:',
    from: (address: string) => `This server sees it at the network address ${address}.`,
    newSession: 'stay signed in by itself',
    mine: 'Say yes only if you hold that device, and it shows your e-mail address.',
    approve: 'Yes, connect it',
    refuse: 'No',
    waitingTitle: 'Now the other device',
    waiting: 'Say there, too, that it is you.',
    doneTitle: 'The device is connected',
    done: 'It gets your data now. You see it among your devices, and can sign it out there.',
    refusedTitle: 'No device was connected',
    refused: 'Nothing was given to it.',
    gone: 'No device waits here, or it is gone. Show a new code in Firefox, and scan it.',
    again: 'Show a new code',
    untrusted: 'What asked is no browser that may be connected like this.',
    devices: 'Your devices',
  },
};
