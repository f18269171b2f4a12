import { strings } from '../strings/strings.ts';
import { Field } from '../ui/parts.tsx';

const PASSWORD_LENGTH_MIN = 8;

/** What is wrong with a password that somebody wants to have; undefined for nothing. */
export const newPasswordProblem = (password: string): string | undefined =>
  password.length < PASSWORD_LENGTH_MIN ? strings.enter.passwordShort : undefined;

/** The field for a password that is to be. */
export function NewPassword(props: { value: string; onValue: (value: string) => void }) {
  return (
    <Field
      id="new-password"
      label={strings.fields.newPassword}
      kind="password"
      value={props.value}
      onValue={props.onValue}
      autocomplete="new-password"
      hint={strings.fields.newPasswordHint}
    />
  );
}
