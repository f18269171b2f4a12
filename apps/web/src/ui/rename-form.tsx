import { useSignal } from '@preact/signals';
import { strings } from '../strings/strings.ts';
import { useAttempt } from './attempt.ts';
import { Field, Form, Problem } from './parts.tsx';

/** Gives something in a list another name, in its place. */
export function RenameForm(props: {
  id: string;
  words: { label: string; save: string };
  /** As it is now. */
  name: string;
  rename: (name: string) => Promise<unknown>;
  /** Renamed, or not after all. */
  onClosed: (isRenamed: boolean) => void;
}) {
  const typed = useSignal(props.name);
  const attempt = useAttempt();
  return (
    <Form
      onSubmit={() => {
        attempt.run(async () => {
          await props.rename(typed.peek().trim());
          props.onClosed(true);
        });
      }}
    >
      <Problem text={attempt.problem} />
      <Field
        id={props.id}
        label={props.words.label}
        value={typed.value}
        onValue={(value) => (typed.value = value)}
        autofocus
      />
      <div class="row">
        <button type="submit" class="main" aria-disabled={attempt.busy}>
          {props.words.save}
        </button>
        <button
          type="button"
          onClick={() => {
            props.onClosed(false);
          }}
        >
          {strings.cancel}
        </button>
      </div>
    </Form>
  );
}
