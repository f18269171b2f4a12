import { useSignal } from '@preact/signals';
import { hasRecoveryKey } from '../account/change.ts';
import { securityEvents } from '../account/devices.ts';
import { factorsAt, gateOfSession } from '../account/factors.ts';
import { readProfile, setDisplayName } from '../account/profile.ts';
import { endSession, forgetSession, type Session } from '../account/session.ts';
import { tellFirefox } from '../firefox/web-channel.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Link, Note, Page, Problem } from '../ui/parts.tsx';
import { goTo } from '../ui/route.ts';
import { when } from '../ui/when.ts';

/** `/settings`: everything about the account, or a way to it. */
export function Overview({ session }: { session: Session }) {
  const words = strings.settings;
  const attempt = useAttempt();
  return (
    <Page name="settings" title={words.title} wide>
      <p class="quiet">{session.email}</p>
      <ProfileSection session={session} />
      <section>
        <h2>{words.password.title}</h2>
        <p>{words.password.summary}</p>
        <Link to="/settings/password" class="button">
          {words.password.change}
        </Link>
      </section>
      <SecondFactorSection session={session} />
      <RecoveryKeySection session={session} />
      <section>
        <h2>{words.clients.title}</h2>
        <p>{words.clients.summary}</p>
        <Link to="/settings/clients" class="button">
          {words.clients.show}
        </Link>
        <Link to="/connect_another_device" class="button">
          {words.connect.title}
        </Link>
        <Link to="/apps" class="button">
          {strings.apps.link}
        </Link>
      </section>
      <section>
        <h2>{strings.keys.title}</h2>
        <p>{strings.keys.summary}</p>
        <Link to="/settings/keys" class="button">
          {strings.keys.show}
        </Link>
      </section>
      <ActivitySection session={session} />
      <section>
        <h2>{words.leave.title}</h2>
        {session.firefox === true && <p>{words.leave.firefox}</p>}
        <Problem text={attempt.problem} />
        <button
          id="signout"
          type="button"
          onClick={() => {
            attempt.run(async () => {
              await endSession(session);
              if (session.firefox === true) tellFirefox('logout', { uid: session.uid });
              forgetSession();
              goTo('/signin');
            });
          }}
        >
          {words.leave.button}
        </button>
        <Link to="/settings/delete" class="button danger">
          {words.remove.title}
        </Link>
      </section>
    </Page>
  );
}

function ProfileSection({ session }: { session: Session }) {
  const words = strings.settings.profile;
  const profile = useLoaded(() => readProfile(session));
  const typed = useSignal<string | undefined>(undefined);
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt();
  const name = typed.value ?? profile.value?.displayName ?? '';
  return (
    <section>
      <h2>{words.title}</h2>
      <div class="profile">
        {profile.value?.avatar != null && (
          <img
            class="avatar"
            src={profile.value.avatar}
            alt={words.picture}
            width="72"
            height="72"
          />
        )}
        <Link to="/settings/avatar/change" class="button">
          {words.changePicture}
        </Link>
      </div>
      <Form
        onSubmit={() => {
          note.value = undefined;
          attempt.run(async () => {
            await setDisplayName(session, name.trim());
            tellFirefox('profile:change', { uid: session.uid });
            note.value = words.saved;
          });
        }}
      >
        <Field
          id="display-name"
          label={words.name}
          value={name}
          onValue={(value) => (typed.value = value)}
          autocomplete="nickname"
          optional
        />
        <Problem text={attempt.problem ?? profile.problem} />
        <Note text={note.value} />
        <button id="save-name" type="submit" aria-disabled={attempt.busy}>
          {words.save}
        </button>
      </Form>
    </section>
  );
}

function SecondFactorSection({ session }: { session: Session }) {
  const words = strings.secondFactors;
  const has = useLoaded(() => factorsAt(gateOfSession(session)));
  const isOn = has.value !== undefined && (has.value.totp || has.value.passkeys > 0);
  return (
    <section>
      <h2>{words.title}</h2>
      <Problem text={has.problem} />
      {has.value && <p>{isOn ? words.some : words.none}</p>}
      <Link to="/settings/second_factors" class="button">
        {words.show}
      </Link>
    </section>
  );
}

function RecoveryKeySection({ session }: { session: Session }) {
  const words = strings.settings.recovery;
  const exists = useLoaded(() => hasRecoveryKey(session));
  return (
    <section>
      <h2>{words.title}</h2>
      <Problem text={exists.problem} />
      {exists.value !== undefined && <p>{exists.value ? words.exists : words.missing}</p>}
      <Link to="/settings/recovery_key" class="button">
        {exists.value === true ? words.replace : words.make}
      </Link>
    </section>
  );
}

const EVENTS_SHOWN = 20;

function ActivitySection({ session }: { session: Session }) {
  const words = strings.settings.activity;
  const events = useLoaded(() => securityEvents(session));
  return (
    <section>
      <h2>{words.title}</h2>
      <Problem text={events.problem} />
      {events.value?.length === 0 && <p>{words.none}</p>}
      <ul class="list">
        {events.value?.slice(0, EVENTS_SHOWN).map((event, i) => (
          <li key={i}>
            <strong>{words.names[event.name]}</strong>
            <span class="quiet">
              {[when(event.createdAt), event.userAgent, event.ipAddr].filter(Boolean).join(' · ')}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
