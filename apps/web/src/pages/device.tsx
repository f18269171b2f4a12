import { useSignal } from '@preact/signals';
import type { DeviceDetails } from '#lib/protocol';
import { allowDevice, readDevice, refuseDevice } from '../account/device-grant.ts';
import { asIfSignedIn } from '../account/interaction.ts';
import { session } from '../account/session.ts';
import type { Opened } from '../account/sign-in.ts';
import { Asked, WhoAsks } from '../consent/asked.tsx';
import { RefuseButton } from '../consent/refuse-button.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Field, Form, Page, Problem } from '../ui/parts.tsx';
import { arrivedWith, clearQuery } from '../ui/route.ts';
import { Enter } from './enter.tsx';

/**
 * `/device`: a device without a keyboard shows a code, and somebody answers it here. Nothing is looked up
 * before a button is pressed, nor granted without the code, the app and the password.
 */
export function Device() {
  const words = strings.consent.device;
  const asked = useSignal<DeviceDetails | undefined>(undefined);
  const account = useSignal<Opened | undefined>(undefined);
  const answer = useSignal<boolean | undefined>(undefined);
  const details = asked.value;
  if (!details) return <Code onFound={(found) => (asked.value = found)} />;
  if (answer.value === true) {
    return (
      <Page name="device-done" title={words.done}>
        <p>{words.doneText(details.client.name)}</p>
      </Page>
    );
  }
  if (answer.value === false) {
    return (
      <Page name="device-refused" title={words.refused}>
        <p>{words.refusedText}</p>
      </Page>
    );
  }
  const onRefused = () => (answer.value = false);
  if (account.value) {
    return (
      <Allow
        asked={details}
        account={account.value}
        onAllowed={() => (answer.value = true)}
        onRefused={onRefused}
      />
    );
  }
  return (
    <Enter
      title={words.signIn(details.client.name)}
      intro={words.warning}
      first="signin"
      email={session.peek()?.email ?? ''}
      onEntered={async (opened) => {
        asked.value = await readDevice(details.user_code, opened);
        account.value = opened;
      }}
      above={<WhichDevice asked={details} />}
      instead={<Refuse asked={details} onRefused={onRefused} />}
    />
  );
}

/** The code, to be typed or, when a link brought it, to be compared. */
function Code({ onFound }: { onFound: (found: DeviceDetails) => void }) {
  const words = strings.consent.device;
  const code = useSignal(arrivedWith.get('user_code') ?? '');
  const attempt = useAttempt();
  return (
    <Page name="device" title={words.title}>
      <p>{words.intro}</p>
      <p class="warning">{words.warning}</p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            const found = await asIfSignedIn((by) => readDevice(code.peek(), by));
            clearQuery();
            onFound(found);
          });
        }}
      >
        <Field
          id="user-code"
          label={words.code}
          value={code.value}
          onValue={(value) => (code.value = value)}
          hint={words.codeHint}
          mono
        />
        <Problem text={attempt.problem} />
        <button id="look-up" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.goOn}
        </button>
      </Form>
    </Page>
  );
}

/** Which device asks: what it shows, what it says it is, and whether it is near. */
function WhichDevice({ asked }: { asked: DeviceDetails }) {
  const words = strings.consent.device;
  return (
    <>
      <WhoAsks client={asked.client} />
      <p>
        <strong>{words.question}</strong>
      </p>
      <p class="key">{asked.user_code}</p>
      <p class="hint">{words.from(asked.device.program)}</p>
      <p class={asked.device.same_network ? 'hint' : 'warning'}>
        {asked.device.same_network ? words.near : words.far}
      </p>
    </>
  );
}

function Refuse(props: { asked: DeviceDetails; account?: Opened; onRefused: () => void }) {
  return (
    <RefuseButton
      label={strings.consent.device.refuse}
      account={props.account}
      refuse={async (account) => {
        await refuseDevice(props.asked, account);
        props.onRefused();
      }}
    />
  );
}

function Allow(props: {
  asked: DeviceDetails;
  account: Opened;
  onAllowed: () => void;
  onRefused: () => void;
}) {
  const words = strings.consent;
  const { asked, account } = props;
  const attempt = useAttempt();
  return (
    <Page name="device-consent" title={words.title(asked.client.name)}>
      <WhichDevice asked={asked} />
      <p>{words.as(account.email)}</p>
      <Asked asked={asked} />
      <p class="warning">{words.device.warning}</p>
      <Problem text={attempt.problem} />
      <button
        id="allow"
        type="button"
        class="main"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            await allowDevice(asked, account);
            props.onAllowed();
          });
        }}
      >
        {words.device.allow}
      </button>
      <Refuse asked={asked} account={account} onRefused={props.onRefused} />
    </Page>
  );
}
