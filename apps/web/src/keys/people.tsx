import { useSignal } from '@preact/signals';
import { IntegrityError } from '#lib/client';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Note, Problem } from '../ui/parts.tsx';
import type { Desk } from './desk.ts';
import { OTHERS, wordsForLie } from './lies.ts';
import type { Met } from './safety-page.tsx';

/** Everybody whose identity is remembered in the app, and a way to meet somebody. */
export function People({ desk, onCompare }: { desk: Desk; onCompare: (who: Met) => void }) {
  const words = strings.keys.people;
  const { contacts } = desk.keys;
  const known = useLoaded(() => contacts.known());
  const email = useSignal('');
  const note = useSignal<string | undefined>(undefined);
  /** An address that leads to somebody else than before. */
  const other = useSignal<string | undefined>(undefined);
  const attempt = useAttempt(wordsForLie);
  const meet = (address: string) => {
    note.value = words.met(address);
    email.value = '';
    other.value = undefined;
    known.reload();
  };
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{words.intro}</p>
      {known.value?.length === 0 && <p>{words.none}</p>}
      <Problem text={known.problem} />
      <ul class="list">
        {known.value?.map(({ uid, isChecked, name = uid }) => (
          <li key={uid} data-person={uid}>
            <strong>{name}</strong>
            <span class="quiet">{isChecked ? words.checked : words.unchecked}</span>
            <button
              type="button"
              aria-label={words.compareWith(name)}
              onClick={() => {
                onCompare({ uid, name });
              }}
            >
              {words.compare}
            </button>
          </li>
        ))}
      </ul>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            const address = email.value.trim();
            note.value = undefined;
            other.value = undefined;
            const found = await contacts.discover([address]).catch((error: unknown) => {
              const isOther = error instanceof IntegrityError && OTHERS.includes(error.code);
              if (isOther) other.value = address;
              throw error;
            });
            if (found.get(address)?.uid === desk.uid) attempt.refuse(words.oneself);
            else if (found.has(address)) meet(address);
            else attempt.refuse(words.notFound);
          });
        }}
      >
        <Field
          id="email"
          label={words.find}
          kind="email"
          value={email.value}
          onValue={(value) => (email.value = value)}
          autocomplete="off"
        />
        <Problem text={attempt.problem} />
        <Note text={note.value} />
        <button id="find" type="submit" aria-disabled={attempt.busy}>
          {words.look}
        </button>
      </Form>
      {other.value !== undefined && (
        <button
          id="accept"
          type="button"
          class="danger"
          aria-disabled={attempt.busy}
          onClick={() => {
            attempt.run(async () => {
              const address = other.value ?? '';
              if (await contacts.acceptAt(address)) meet(address);
              else attempt.refuse(words.notFound);
            });
          }}
        >
          {words.accept}
        </button>
      )}
    </section>
  );
}
