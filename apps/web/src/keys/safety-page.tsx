import { useSignal } from '@preact/signals';
import { IntegrityError } from '#lib/client';
import { isWholeSafety } from '#lib/crypto';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Note, Page, Problem } from '../ui/parts.tsx';
import { QrCode } from '../ui/qr-code.tsx';
import type { Desk } from './desk.ts';
import { OTHERS, wordsForLie } from './lies.ts';

/** Somebody to compare with. */
export interface Met {
  uid: string;
  name: string;
}

/** The number that two people compare, and what follows from it. */
export function SafetyPage(props: { desk: Desk; met: Met; isHidden: boolean; onBack: () => void }) {
  const words = strings.keys.safety;
  const { met } = props;
  const { contacts } = props.desk.keys;
  const fault = useSignal<IntegrityError | undefined>(undefined);
  const safety = useLoaded(() =>
    contacts.safety(met.uid).catch((error: unknown) => {
      if (error instanceof IntegrityError) fault.value = error;
      throw error;
    }),
  );
  const typed = useSignal('');
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt(wordsForLie);
  const compare = (said: string) => {
    attempt.run(async () => {
      note.value = undefined;
      if (!isWholeSafety(said)) {
        attempt.refuse(words.cutShort);
        return;
      }
      if (await contacts.compare(met.uid, said))
        note.value = props.desk.isKept ? words.noted : words.notedHere;
      else attempt.refuse(words.fitsNot);
    });
  };
  const isOther = fault.value !== undefined && OTHERS.includes(fault.value.code);
  const { number, code, isChecked } = safety.value ?? {};
  return (
    <Page name="safety" title={words.title(met.name)} isHidden={props.isHidden}>
      <Problem text={fault.value ? wordsForLie(fault.value) : safety.problem} />
      {isOther && (
        <button
          id="accept"
          type="button"
          class="danger"
          aria-disabled={attempt.busy}
          onClick={() => {
            attempt.run(async () => {
              await contacts.accept(met.uid);
              fault.value = undefined;
              safety.reload();
            });
          }}
        >
          {strings.keys.people.accept}
        </button>
      )}
      {number !== undefined && code !== undefined && (
        <>
          <p>{words.what}</p>
          {isChecked === true && <p class="hint">{words.before}</p>}
          <p class="key" aria-label={words.number} data-number={number}>
            {number.match(/.{5}/g)?.join(' ')}
          </p>
          <QrCode text={code} label={words.qr} />
          <div class="row">
            <button
              id="same"
              type="button"
              class="main"
              aria-disabled={attempt.busy}
              onClick={() => {
                compare(number);
              }}
            >
              {words.same}
            </button>
            <button
              id="differs"
              type="button"
              onClick={() => {
                attempt.refuse(words.fitsNot);
              }}
            >
              {words.differs}
            </button>
          </div>
          <Form
            onSubmit={() => {
              compare(typed.value);
            }}
          >
            <Field
              id="said"
              label={words.scanned}
              value={typed.value}
              onValue={(value) => (typed.value = value)}
              mono
            />
            <button id="check" type="submit" aria-disabled={attempt.busy}>
              {words.check}
            </button>
          </Form>
        </>
      )}
      <Problem text={attempt.problem} />
      <Note text={note.value} />
      <button id="back" type="button" onClick={props.onBack}>
        {words.back}
      </button>
    </Page>
  );
}
