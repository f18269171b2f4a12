import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { strings } from '../strings/strings.ts';
import { goTo } from './route.ts';

/** A page: its heading, which also becomes the window's title and gets the focus, and what is below. */
export function Page(props: {
  /** What tests and drivers find the page by. */
  name: string;
  title: string;
  wide?: boolean;
  /** A question stands in its place: what was typed, and what is under way, stays. */
  isHidden?: boolean;
  children: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (props.isHidden === true) return;
    document.title = `${props.title} · ${strings.name}`;
    // Not over a field that the page itself put the focus on.
    if (document.activeElement === document.body) heading.current?.focus();
  }, [props.name, props.title, props.isHidden]);
  return (
    <main
      data-page={props.name}
      class={props.wide === true ? 'wide' : ''}
      hidden={props.isHidden === true}
    >
      <h1 ref={heading} tabIndex={-1}>
        {props.title}
      </h1>
      {props.children}
    </main>
  );
}

/** A link to another of these pages, which does not load anything. */
export function Link(props: { to: string; children: ComponentChildren; class?: string }) {
  return (
    <a
      href={props.to}
      class={props.class}
      onClick={(event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
        event.preventDefault();
        goTo(props.to);
      }}
    >
      {props.children}
    </a>
  );
}

/** A labelled field. */
export function Field(props: {
  id: string;
  label: string;
  kind?: 'text' | 'email' | 'password';
  value: string;
  onValue: (value: string) => void;
  autocomplete?: string;
  hint?: string | undefined;
  readOnly?: boolean;
  optional?: boolean;
  autofocus?: boolean;
  mono?: boolean;
  /** Digits alone: a telephone shows those keys. */
  numeric?: boolean;
}) {
  const hintId = useId();
  const shown = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (props.autofocus === true) input.current?.focus();
  }, [props.autofocus]);
  const isPassword = props.kind === 'password';
  // Preact types each kind of input apart; these three take the same attributes.
  const type = { type: isPassword && shown.value ? 'text' : (props.kind ?? 'text') } as {
    type: 'text';
  };
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <input
        ref={input}
        id={props.id}
        name={props.id}
        {...type}
        value={props.value}
        autocomplete={props.autocomplete ?? 'off'}
        autocapitalize="none"
        inputMode={props.numeric === true ? 'numeric' : undefined}
        spellcheck={false}
        required={props.optional !== true}
        readOnly={props.readOnly === true}
        class={props.mono === true ? 'mono' : ''}
        aria-describedby={props.hint === undefined ? undefined : hintId}
        onInput={(event) => {
          props.onValue(event.currentTarget.value);
        }}
      />
      {props.hint !== undefined && (
        <p class="hint" id={hintId}>
          {props.hint}
        </p>
      )}
      {isPassword && (
        <Check
          id={`${props.id}-shown`}
          label={strings.fields.show}
          checked={shown.value}
          onChecked={(checked) => (shown.value = checked)}
        />
      )}
    </div>
  );
}

/** A labelled check box. */
export function Check(props: {
  id: string;
  label: string;
  checked: boolean;
  onChecked: (checked: boolean) => void;
}) {
  return (
    <label class="check" for={props.id}>
      <input
        id={props.id}
        type="checkbox"
        checked={props.checked}
        onChange={(event) => {
          props.onChecked(event.currentTarget.checked);
        }}
      />
      <span>{props.label}</span>
    </label>
  );
}

/** A field for a picture of one's own. @param props.onPick - called when one was chosen */
export function PictureField(props: { id: string; label: string; onPick: (file: File) => void }) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      <input
        id={props.id}
        type="file"
        accept="image/*"
        onChange={(event) => {
          const file = event.currentTarget.files?.[0];
          if (file) props.onPick(file);
        }}
      />
    </div>
  );
}

/** What went wrong, read out as soon as it is there; nothing when all is well. */
export function Problem({ text }: { text: string | undefined }) {
  return (
    <div role="alert" class={text === undefined ? '' : 'problem'}>
      {text}
    </div>
  );
}

/** What went well, read out when there is time. */
export function Note({ text }: { text: string | undefined }) {
  return (
    <div role="status" class={text === undefined ? '' : 'note'}>
      {text}
    </div>
  );
}

/** A form that never leaves the page. */
export function Form(props: { onSubmit: () => void; children: ComponentChildren }) {
  return (
    <form
      noValidate
      method="post"
      onSubmit={(event) => {
        event.preventDefault();
        props.onSubmit();
      }}
    >
      {props.children}
    </form>
  );
}
