import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { AVATAR_SIDE, drawAvatar, removeAvatar, setAvatar } from '../account/profile.ts';
import type { Session } from '../account/session.ts';
import { tellFirefox } from '../firefox/web-channel.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Form, Link, Page, PictureField, Problem } from '../ui/parts.tsx';
import { goTo } from '../ui/route.ts';

/** `/settings/avatar/change`: a picture, drawn anew and small before it leaves. */
export function Avatar({ session }: { session: Session }) {
  const words = strings.settings.profile;
  const drawn = useSignal<{ png: Blob; url: string } | undefined>(undefined);
  const attempt = useAttempt((error) =>
    error instanceof DOMException ? words.noPicture : undefined,
  );
  const show = (png: Blob | undefined) => {
    if (drawn.peek()) URL.revokeObjectURL(drawn.peek()?.url ?? '');
    drawn.value = png && { png, url: URL.createObjectURL(png) };
  };
  useEffect(
    () => () => {
      show(undefined);
    },
    [],
  );
  const change = (work: () => Promise<void>) => {
    attempt.run(async () => {
      await work();
      tellFirefox('profile:change', { uid: session.uid });
      goTo('/settings');
    });
  };
  return (
    <Page name="avatar" title={words.changePicture} wide>
      <p>{words.pictureNote}</p>
      <Form
        onSubmit={() => {
          const picture = drawn.value;
          if (picture) change(() => setAvatar(session, picture.png));
          else attempt.refuse(words.noPicture);
        }}
      >
        <PictureField
          id="picture"
          label={words.file}
          onPick={(file) => {
            attempt.run(async () => {
              show(undefined);
              show(await drawAvatar(file));
            });
          }}
        />
        {drawn.value && (
          <img
            class="avatar"
            src={drawn.value.url}
            alt={words.preview}
            width={AVATAR_SIDE / 2}
            height={AVATAR_SIDE / 2}
          />
        )}
        <Problem text={attempt.problem} />
        <button id="save-picture" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.save}
        </button>
        <button
          id="remove-picture"
          type="button"
          onClick={() => {
            change(() => removeAvatar(session));
          }}
        >
          {words.removePicture}
        </button>
      </Form>
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}
