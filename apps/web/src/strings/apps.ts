/** The pages for developers of apps. */
export const apps = {
  title: 'Apps',
  link: 'Your own apps',
  summary: 'For developers: register an app that people can sign in to with their account here.',
  none: 'You have registered no app.',
  operator: 'You see every app of this server, because your account is an operator’s.',
  closed: 'On this server the operator registers apps. Ask them for one.',
  register: 'Register an app',
  people: (count: number) => (count === 1 ? 'used by 1 person' : `used by ${count} people`),
  by: (owner: string) => `of ${owner}`,
  byOperator: 'of the operator',
  builtIn: 'comes with the server',
  showThis: (name: string) => `Show ${name}`,
  fields: {
    name: 'Name',
    nameHint: 'What people are shown when the app asks for access.',
    type: 'Where it runs',
    web: 'On a web site',
    native: 'Installed on a phone or a computer',
    addresses: 'Addresses people come back to',
    addressesHint:
      'One on each line, exactly as the app sends it. For a web site https://; for an installed app http://127.0.0.1/… or a scheme such as org.example.notes:/callback.',
    /** @param scope - as the app writes it in its requests */
    scope: (can: string, scope: string) => `${can} – ${scope}`,
    scopes: 'What it may ask people for, in the words that they see',
    ways: 'How it works',
    device: 'It also signs in on a device without a keyboard, by a code',
    secret: 'It has a server that keeps a secret',
    more: 'Links and more',
    homepage: 'Home page',
    policy: 'Privacy policy',
    terms: 'Terms of service',
    linkHint: 'https:// – people see it.',
    contacts: 'Mail addresses for the operator of this server, one on each line',
    resources: 'APIs of your own that it asks tokens for, one on each line',
    logout: 'Address that is told when somebody signs out',
  },
  save: 'Save',
  saved: 'Saved. It counts from now on.',
  id: 'Client ID',
  secret: {
    title: 'Secret',
    made: 'This is the secret of the app. It is shown only now: put it where the app’s server reads it.',
    count: (count: number) =>
      count > 1
        ? 'Two secrets are good: the one before for a day more.'
        : 'There is one secret. When you make a new one, it is good for a day more.',
    rotate: 'Make a new secret',
    rotateNow: 'Make a new one, and end the old at once',
  },
  picture: {
    title: 'Picture',
    of: (name: string) => `Picture of ${name}`,
    file: 'A picture from this device',
    none: 'This is no picture that can be shown.',
    remove: 'Remove the picture',
  },
  remove: {
    title: 'Remove the app',
    warning:
      'Everybody who uses it is signed out of it. What they stored in it is kept, and the client ID is given to no other app.',
    sure: (name: string) => `Remove ${name} for good`,
    button: 'Remove …',
  },
  fixed: 'This app comes with the server and stays as it is.',
  all: 'All apps',
  gone: 'There is no such app, or it is not yours.',
  tooMany: 'You have as many apps as one developer may have.',
  /** @param why - in the server's words */
  because: (wrong: string, why: string) => (why === '' ? wrong : `${wrong} (${why})`),
  /** What is wrong with a field, by its name in RFC 7591. */
  wrong: {
    client_name:
      'This name cannot be used. It is empty or too long, mixes alphabets, has signs that cannot be seen, or looks like the name of another app or of this server.',
    redirect_uris:
      'One of the addresses cannot be used. Write each in full and exactly; a web site’s begins with https://, and none has *, # or a user name.',
    scope: 'Choose at least one thing that the app may ask for.',
    grant_types: 'Choose at least one way to sign in.',
    token_endpoint_auth_method: 'An installed app cannot keep a secret.',
    client_uri: 'The home page is an address that begins with https://.',
    policy_uri: 'The privacy policy is an address that begins with https://.',
    tos_uri: 'The terms are an address that begins with https://.',
    contacts: 'One of the mail addresses cannot be used.',
    resources:
      'One of the APIs cannot be used: each begins with https://, and is no other developer’s.',
    backchannel_logout_uri: 'The address for signing out begins with https://.',
  } as Readonly<Record<string, string>>,
};
