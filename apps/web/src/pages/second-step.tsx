import { useSignal } from '@preact/signals';
import { browserSupportsWebAuthn } from '@simplewebauthn/browser';
import {
  factorsAt,
  type Gate,
  giveBackupCode,
  givePasskey,
  giveTotp,
  isOfBrowser,
} from '../account/factors.ts';
import { isErrno } from '../account/server.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Page, Problem } from '../ui/parts.tsx';

type Way = 'totp' | 'passkey' | 'backup';

/** Asks for a second factor: whichever of those the account has. */
export function SecondStep(props: {
  gate: Gate;
  onGiven: () => Promise<void>;
  onCancel?: (() => void) | undefined;
}) {
  const words = strings.secondFactors.step;
  const { gate } = props;
  const has = useLoaded(() => factorsAt(gate));
  const chosen = useSignal<Way | undefined>(undefined);
  const code = useSignal('');
  const attempt = useAttempt((error) => {
    if (isErrno(error, 183) || isErrno(error, 107)) return strings.secondFactors.totp.wrong;
    if (isErrno(error, 156) || isErrno(error, 108)) return words.wrongBackup;
    if (isErrno(error, 227) || isErrno(error, 229)) return words.wrongPasskey;
    return isOfBrowser(error) ? strings.secondFactors.passkeys.broken : undefined;
  });
  const ways: Way[] = has.value
    ? [
        ...(has.value.passkeys > 0 && browserSupportsWebAuthn() ? (['passkey'] as const) : []),
        ...(has.value.totp ? (['totp'] as const) : []),
        'backup',
      ]
    : [];
  const way = chosen.value ?? ways[0];
  const choose = (next: Way) => {
    code.value = '';
    attempt.refuse(undefined);
    chosen.value = next;
  };
  const give = () => {
    attempt.run(async () => {
      if (way === 'totp') await giveTotp(gate, code.value);
      else if (way === 'backup') await giveBackupCode(gate, code.value);
      else await givePasskey(gate);
      await props.onGiven();
    });
  };
  const labels = { totp: words.useTotp, passkey: words.usePasskey, backup: words.useBackup };
  return (
    <Page name={`second-step-${way ?? 'loading'}`} title={words.title}>
      <Problem text={has.problem} />
      {way !== undefined && (
        <Form onSubmit={give}>
          <p>{words[way]}</p>
          {way !== 'passkey' && (
            <Field
              key={way}
              id="second-code"
              label={way === 'totp' ? words.code : words.backupCode}
              value={code.value}
              onValue={(value) => (code.value = value)}
              autocomplete={way === 'totp' ? 'one-time-code' : 'off'}
              numeric={way === 'totp'}
              autofocus
              mono
            />
          )}
          <Problem text={attempt.problem} />
          <button id="give-factor" type="submit" class="main" aria-disabled={attempt.busy}>
            {way === 'passkey' ? words.usePasskey : words.goOn}
          </button>
          {ways
            .filter((other) => other !== way)
            .map((other) => (
              <button
                key={other}
                id={`use-${other}`}
                type="button"
                onClick={() => {
                  choose(other);
                }}
              >
                {labels[other]}
              </button>
            ))}
          {props.onCancel && (
            <button type="button" onClick={props.onCancel}>
              {strings.cancel}
            </button>
          )}
          <p class="hint">{words.lost}</p>
        </Form>
      )}
    </Page>
  );
}
