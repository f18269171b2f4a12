import { useSignal } from '@preact/signals';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Note, Problem } from '../ui/parts.tsx';
import type { Desk } from './desk.ts';
import { wordsForLie } from './lies.ts';
import type { Met } from './safety-page.tsx';

/** Everybody whose identity is remembered in the app, and a way to meet somebody. */
export function People({ desk, onCompare }: { desk: Desk; onCompare: (who: Met) => void }) {
  const words = strings.keys.people;
  const { contacts } = desk.keys;
  const known = useLoaded(() => contacts.known());
  const email = useSignal('');
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt(wordsForLie);
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
                onCompare({ uid, name: name });
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
            const found = (await contacts.discover([address])).get(address);
            if (!found) {
              attempt.refuse(words.notFound);
              return;
            }
            note.value = words.met(address);
            email.value = '';
            known.reload();
          });
        }}
      >
        <Field
          id="email"
          label={words.email}
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
    </section>
  );
}
