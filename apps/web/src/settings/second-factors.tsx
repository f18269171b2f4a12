import { useSignal } from '@preact/signals';
import { browserSupportsWebAuthn } from '@simplewebauthn/browser';
import type { Passkey, TotpCreated } from '#lib/protocol';
import {
  addPasskey,
  createTotp,
  enableTotp,
  factorsAt,
  gateOfSession,
  isOfBrowser,
  passkeys,
  removePasskey,
  removeTotp,
  renamePasskey,
  renewBackupCodes,
} from '../account/factors.ts';
import { isErrno } from '../account/server.ts';
import type { Session } from '../account/session.ts';
import { type Proof, useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Link, Page, Problem } from '../ui/parts.tsx';
import { RenameForm } from '../ui/rename-form.tsx';
import { QrCode } from '../ui/qr-code.tsx';
import { when } from '../ui/when.ts';
import { ShowBackupCodes } from './backup-codes.tsx';

/** What every part of the page needs. */
interface Part {
  session: Session;
  proof: Proof;
  /** Something changed; with codes, they are to be shown once. */
  onChanged: (codes?: string[]) => void;
}

/** `/settings/second_factors`: an authenticator, passkeys and the codes for when they are away. */
export function SecondFactors({ session }: { session: Session }) {
  const words = strings.secondFactors;
  const has = useLoaded(() => factorsAt(gateOfSession(session)));
  const codes = useSignal<string[] | undefined>(undefined);
  const created = useSignal<TotpCreated | undefined>(undefined);
  const proof = useProof(session);
  const part: Part = {
    ...{ session, proof },
    onChanged: (shown) => {
      created.value = undefined;
      codes.value = shown;
      has.reload();
    },
  };
  if (codes.value) {
    const kept = () => (codes.value = undefined);
    return <ShowBackupCodes codes={codes.value} email={session.email} onKept={kept} />;
  }
  if (created.value) {
    if (proof.page !== undefined) return <>{proof.page}</>; // it has a field for six digits, too
    return (
      <ProveTotp {...part} created={created.value} onCancel={() => (created.value = undefined)} />
    );
  }
  const isOn = has.value !== undefined && (has.value.totp || has.value.passkeys > 0);
  const list = (
    <Page name="second-factors" title={words.title} wide isHidden={proof.page !== undefined}>
      <p>{words.what}</p>
      {isOn && <p>{words.devices}</p>}
      <Problem text={has.problem} />
      {has.value && (
        <>
          <TotpSection
            {...part}
            isOn={has.value.totp}
            onCreated={(made) => (created.value = made)}
          />
          <PasskeySection key={has.value.passkeys} {...part} />
          {isOn && <BackupSection {...part} count={has.value.backupCodes} />}
        </>
      )}
      <Link to="/settings">{strings.back}</Link>
    </Page>
  );
  return (
    <>
      {list}
      {proof.page}
    </>
  );
}

function TotpSection(props: Part & { isOn: boolean; onCreated: (made: TotpCreated) => void }) {
  const words = strings.secondFactors.totp;
  const { session, proof } = props;
  const attempt = useAttempt();
  const run = () => {
    attempt.run(async () => {
      if (!props.isOn) {
        props.onCreated(await proof.around(() => createTotp(session)));
        return;
      }
      await proof.around(() => removeTotp(session));
      props.onChanged();
    });
  };
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{props.isOn ? words.on : words.off}</p>
      <Problem text={attempt.problem} />
      <button
        id={props.isOn ? 'remove-totp' : 'add-totp'}
        type="button"
        class={props.isOn ? 'danger' : 'main'}
        aria-disabled={attempt.busy}
        onClick={run}
      >
        {props.isOn ? words.remove : words.add}
      </button>
    </section>
  );
}

function ProveTotp(props: Part & { created: TotpCreated; onCancel: () => void }) {
  const words = strings.secondFactors.totp;
  const { session, proof, created } = props;
  const code = useSignal('');
  const attempt = useAttempt((error) =>
    isErrno(error, 183) || isErrno(error, 107) ? words.wrong : undefined,
  );
  return (
    <Page name="add-totp" title={words.add}>
      <p>{words.scan}</p>
      <QrCode text={created.otpauthUrl} label={words.qr} />
      <p id="secret-label">{words.secret}</p>
      <p class="key" data-secret aria-labelledby="secret-label">
        {(created.secret.match(/.{4}/g) ?? []).join(' ')}
      </p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            props.onChanged(await proof.around(() => enableTotp(session, code.value)));
          });
        }}
      >
        <Field
          id="second-code"
          label={words.code}
          value={code.value}
          onValue={(value) => (code.value = value)}
          autocomplete="one-time-code"
          hint={words.prove}
          numeric
          autofocus
          mono
        />
        <Problem text={attempt.problem} />
        <button id="enable-totp" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.done}
        </button>
        <button type="button" onClick={props.onCancel}>
          {strings.cancel}
        </button>
      </Form>
    </Page>
  );
}

function PasskeySection(props: Part) {
  const words = strings.secondFactors.passkeys;
  const { session, proof } = props;
  const known = useLoaded(() => passkeys(session));
  const name = useSignal<string>(words.usualName);
  const attempt = useAttempt((error) => {
    const isKnown = isErrno(error, 225) || (error as Error).name === 'InvalidStateError';
    return isKnown ? words.exists : isOfBrowser(error) ? words.broken : undefined;
  });
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{words.off}</p>
      <Problem text={known.problem} />
      <ul class="list">
        {known.value?.map((passkey) => (
          <PasskeyItem
            key={passkey.credentialId}
            {...props}
            passkey={passkey}
            onRenamed={known.reload}
          />
        ))}
      </ul>
      {browserSupportsWebAuthn() ? (
        <Form
          onSubmit={() => {
            attempt.run(async () => {
              props.onChanged(await proof.around(() => addPasskey(session, name.value)));
            });
          }}
        >
          <Field
            id="passkey-name"
            label={words.name}
            value={name.value}
            onValue={(value) => (name.value = value)}
          />
          <Problem text={attempt.problem} />
          <button id="add-passkey" type="submit" aria-disabled={attempt.busy}>
            {words.add}
          </button>
        </Form>
      ) : (
        <p class="hint">{words.impossible}</p>
      )}
    </section>
  );
}

function PasskeyItem(props: Part & { passkey: Passkey; onRenamed: () => void }) {
  const words = strings.secondFactors.passkeys;
  const { session, proof, passkey } = props;
  const { credentialId: id, name, isSynced, lastUsedAt } = passkey;
  const isRenaming = useSignal(false);
  const attempt = useAttempt();
  const facts = [
    lastUsedAt === null ? words.never : words.used(when(lastUsedAt)),
    isSynced && words.synced,
  ];
  return (
    <li data-passkey={name}>
      <strong>{name}</strong>
      <span class="quiet">{facts.filter(Boolean).join(' · ')}</span>
      <Problem text={attempt.problem} />
      {isRenaming.value ? (
        <RenameForm
          id="new-passkey-name"
          words={{ label: words.name, save: words.saveName }}
          name={name}
          rename={(to) => renamePasskey(session, id, to)}
          onClosed={(isRenamed) => {
            isRenaming.value = false;
            if (isRenamed) props.onRenamed();
          }}
        />
      ) : (
        <div class="row">
          <button
            type="button"
            aria-label={words.renameThis(name)}
            onClick={() => (isRenaming.value = true)}
          >
            {words.rename}
          </button>
          <button
            type="button"
            class="danger"
            aria-label={words.removeThis(name)}
            aria-disabled={attempt.busy}
            onClick={() => {
              attempt.run(async () => {
                await proof.around(() => removePasskey(session, id));
                props.onChanged();
              });
            }}
          >
            {words.remove}
          </button>
        </div>
      )}
    </li>
  );
}

function BackupSection(props: Part & { count: number }) {
  const words = strings.secondFactors.backup;
  const attempt = useAttempt();
  return (
    <section>
      <h2>{words.title}</h2>
      <p>
        {words.left(props.count)} {words.why}
      </p>
      <Problem text={attempt.problem} />
      <button
        id="renew-codes"
        type="button"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            props.onChanged(await props.proof.around(() => renewBackupCodes(props.session)));
          });
        }}
      >
        {words.renew}
      </button>
    </section>
  );
}
