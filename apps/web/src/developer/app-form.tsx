import { useSignal } from '@preact/signals';
import { useId } from 'preact/hooks';
import { type App, APP_SCOPES, type AppFields } from '#lib/protocol';
import { strings } from '../strings/strings.ts';
import type { Attempt } from '../ui/attempt.ts';
import { Check, Field, Form, Note, Problem } from '../ui/parts.tsx';
import { type Draft, draftOf, EMPTY, fieldsOf } from './draft.ts';

/**
 * What is said of an app, or of one to come.
 *
 * @param props.save - tells the server; whoever calls shows what came of it
 */
export function AppForm(props: {
  app?: App;
  change: Attempt;
  /** What went well. */
  note?: string | undefined;
  button: string;
  save: (fields: AppFields) => Promise<void>;
}) {
  const words = strings.apps.fields;
  const { app, change } = props;
  const draft = useSignal(app ? draftOf(app) : EMPTY);
  const set = (more: Partial<Draft>) => {
    draft.value = { ...draft.peek(), ...more };
  };
  const typed = draft.value;
  const field = (name: 'name' | 'homepage' | 'policy' | 'terms' | 'logout', hint?: string) => (
    <Field
      id={`app-${name}`}
      label={words[name]}
      value={typed[name]}
      onValue={(value) => {
        set({ [name]: value });
      }}
      hint={hint}
      optional={name !== 'name'}
    />
  );
  const lines = (name: 'addresses' | 'contacts' | 'resources', hint?: string) => (
    <Lines
      id={`app-${name}`}
      label={words[name]}
      value={typed[name]}
      onValue={(value) => {
        set({ [name]: value });
      }}
      hint={hint}
    />
  );
  return (
    <Form
      onSubmit={() => {
        change.run(() => props.save(fieldsOf(draft.peek(), app)));
      }}
    >
      {field('name', words.nameHint)}
      <fieldset>
        <legend>{words.type}</legend>
        {(['web', 'native'] as const).map((type) => (
          <label key={type} class="check" for={`app-type-${type}`}>
            <input
              id={`app-type-${type}`}
              type="radio"
              name="app-type"
              checked={typed.type === type}
              onChange={() => {
                set({ type, ...(type === 'native' && { secret: false }) });
              }}
            />
            <span>{words[type]}</span>
          </label>
        ))}
      </fieldset>
      {lines('addresses', words.addressesHint)}
      <fieldset>
        <legend>{words.scopes}</legend>
        {APP_SCOPES.map((scope) => (
          <Check
            key={scope}
            id={`app-scope-${scope}`}
            label={words.scope(strings.scopes[scope] ?? '', scope)}
            checked={typed.scopes.includes(scope)}
            onChecked={(checked) => {
              const others = typed.scopes.filter((one) => one !== scope);
              set({ scopes: checked ? [...others, scope] : others });
            }}
          />
        ))}
      </fieldset>
      <fieldset>
        <legend>{words.ways}</legend>
        <Check
          id="app-device"
          label={words.device}
          checked={typed.device}
          onChecked={(device) => {
            set({ device });
          }}
        />
        {typed.type === 'web' && (
          <Check
            id="app-secret"
            label={words.secret}
            checked={typed.secret}
            onChecked={(secret) => {
              set({ secret });
            }}
          />
        )}
      </fieldset>
      <details>
        <summary>{words.more}</summary>
        {field('homepage', words.linkHint)}
        {field('policy', words.linkHint)}
        {field('terms', words.linkHint)}
        {lines('contacts')}
        {lines('resources')}
        {field('logout')}
      </details>
      <Problem text={change.problem} />
      <Note text={props.note} />
      <button id="save-app" type="submit" class="main" aria-disabled={change.busy}>
        {props.button}
      </button>
    </Form>
  );
}

function Lines(props: {
  id: string;
  label: string;
  value: string;
  onValue: (value: string) => void;
  hint?: string | undefined;
}) {
  const hintId = useId();
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <textarea
        id={props.id}
        rows={2}
        spellcheck={false}
        aria-describedby={props.hint === undefined ? undefined : hintId}
        value={props.value}
        onInput={(event) => {
          props.onValue(event.currentTarget.value);
        }}
      />
      {props.hint !== undefined && (
        <p class="hint" id={hintId}>
          {props.hint}
        </p>
      )}
    </div>
  );
}
