import { strings } from '../strings/strings.ts';
import { Link, Page } from '../ui/parts.tsx';

/** A page that only says something. */
export function Info(props: { name: string; words: { title: string; text: string }; to?: string }) {
  const { title, text } = props.words;
  return (
    <Page name={props.name} title={title}>
      <p>{text}</p>
      <Link to={props.to ?? '/'}>{strings.goOn}</Link>
    </Page>
  );
}

/** `/connect_another_device`: how the next Firefox is told about this server. */
export function ConnectAnother() {
  const words = strings.settings.connect;
  return (
    <Page name="connect-another" title={words.title} wide>
      <h2>{words.desktop}</h2>
      <ol>
        {words.desktopSteps(location.origin).map(([before, code, after]) => (
          <li key={before + code}>
            {before} {code !== '' && <code>{code}</code>} {after}
          </li>
        ))}
      </ol>
      <h2>{words.android}</h2>
      <p>{words.androidText(location.origin)}</p>
      <h2>{words.ios}</h2>
      <p>{words.iosText(location.origin)}</p>
      <Link to="/settings">{strings.back}</Link>
    </Page>
  );
}
