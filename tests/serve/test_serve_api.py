"""What programs get from the service: the metric's own scores, or one sentence; nobody is harmed by other callers."""

import asyncio
import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from running import running

from pyiqa_moeagiqa.serve import app
from pyiqa_moeagiqa.serve.figures import Figures
from pyiqa_moeagiqa.serve.limits import Limits
from pyiqa_moeagiqa.serve.service import Busy, Picture, Service, TooSlow

SMALL = Limits(max_images=3, max_megabytes=1, max_megapixels=1, queue=2)


@pytest.fixture(scope='module')
def address(metric):
    """A service with the usual limits."""
    with running(app(metric)) as found:
        yield found


@pytest.fixture(scope='module')
def small(metric):
    """A service with small limits."""
    with running(app(metric, SMALL)) as found:
        yield found


def ask(address: str, *files, prompts=(), **options) -> httpx.Response:
    sent = [('images', (file.name, file.read_bytes())) for file in files]
    return httpx.post(f'{address}/score', files=sent, data={'prompts': list(prompts)}, timeout=60, **options)


def test_scores_are_the_metrics_own(address, metric, fox, pictures):
    (pictures / 'broken.png').write_bytes(fox.read_bytes()[:900])
    files = (fox, pictures / 'b.jpg', pictures / 'broken.png')
    results = ask(address, *files, prompts=['a dog', '=1+1', 'a cat']).json()['results']
    expected = metric([str(fox), str(pictures / 'b.jpg')], caption_list=['a dog', '=1+1']).flatten().tolist()
    assert [one['score'] for one in results] == [*expected, None]
    assert [one['name'] for one in results] == ['fox.png', 'b.jpg', 'broken.png']
    assert results[0]['mos'] == pytest.approx(5 * expected[0])
    assert {'low', 'high', 'alignment', 'alignment_mos', 'novelty'} < results[0].keys()
    assert results[2]['reason'].startswith('the image is')
    assert (results[2]['prompt'], results[2]['prompt_from']) == ('a cat', 'given')


def test_without_prompts_each_pictures_own_is_taken(address, metric, fox, pictures):
    found, none = ask(address, fox, pictures / 'b.jpg').json()['results']
    assert (found['prompt'], found['prompt_from']) == ('a red fox', 'PNG metadata of AUTOMATIC1111')
    assert found['score'] == metric(str(fox), caption_list=['a red fox']).item()
    assert none['score'] is None
    assert none['reason'].startswith('there is no prompt for it')
    both = ask(address, fox, pictures / 'b.jpg', prompts=['a cat']).json()['results']
    assert [one['prompt_from'] for one in both] == ['given'] * 2


def test_clients_at_a_time_each_get_their_own(address, metric, fox):
    prompts = [f'picture number {number}' for number in range(24)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda prompt: ask(address, fox, prompts=[prompt]).json()['results'][0], prompts))
    assert [one['prompt'] for one in answers] == prompts
    assert [one['score'] for one in answers] == metric.net.matrix(str(fox), prompts)[0].tolist()


REFUSED = {
    'images': (4, [], 413, '4 images were sent, and at most 3'),
    'prompts': (3, ['a', 'b'], 422, '2 prompts were given for 3 images'),
    'queue': (3, ['a'], 503, 'try again later'),
}


@pytest.mark.parametrize('name', REFUSED)
def test_what_is_too_much_is_refused_in_one_sentence(small, fox, name):
    images, prompts, status, words = REFUSED[name]
    answer = ask(small, *[fox] * images, prompts=prompts)
    assert answer.status_code == status
    assert words in answer.json()['detail']
    assert ('retry-after' in answer.headers) == (status == 503)


def test_a_form_that_is_none_is_told_what_to_send(address, fox):
    image = ('images', (fox.name, fox.read_bytes()))
    for options, words in (
        ({'json': {'images': []}}, 'Send a form with'),
        ({'data': {'images': 'cat.png'}}, 'Send a form with'),
        ({'files': [image], 'data': {'prompt': 'a cat'}}, "There is no field 'prompt'. Send a form with"),
    ):
        answer = httpx.post(f'{address}/score', timeout=60, **options)
        assert answer.status_code == 422
        assert answer.json()['detail'].startswith(words)
    empty = httpx.post(f'{address}/score', files=[image], data={'prompts': ''}, timeout=60).json()['results'][0]
    assert empty['prompt'] == 'a red fox'


@pytest.mark.parametrize('is_said', [True, False])
def test_a_large_body_is_refused(small, fox, is_said):
    begin = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
    content = begin + b'x' * (2 << 20) if is_said else iter([begin, *[b'x' * (1 << 20)] * 2])
    answer = httpx.post(f'{small}/score', content=content, headers={'content-type': 'multipart/form-data; boundary=b'})
    assert answer.status_code == 413
    assert answer.json() == {'detail': 'The request has more than the 1 MiB that are taken: send several requests.'}


def test_a_picture_of_many_pixels_is_not_decoded(small, tmp_path):
    from PIL import Image

    Image.new('1', (1001, 1000)).save(tmp_path / 'large.png')
    (result,) = ask(small, tmp_path / 'large.png', prompts=['a cat']).json()['results']
    assert result['reason'] == 'it has 1001 x 1000 pixels, and at most 1 million are taken: make it smaller.'


@pytest.fixture
def hasty(metric):
    """A service for whose requests a second is too long."""
    with running(app(metric, Limits(timeout=1))) as found:
        yield found


def test_who_hangs_or_sends_garbage_harms_nobody(hasty, address, fox):
    port = int(hasty.rpartition(':')[2])
    head = b'POST /score HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 99\r\n\r\n--b'
    with (
        socket.create_connection(('127.0.0.1', port)) as hangs,
        socket.create_connection(('127.0.0.1', port)) as garbage,
    ):
        hangs.sendall(head)
        garbage.sendall(b'\x00\xff' * 99 + b'\r\n\r\n')
        assert garbage.recv(99).startswith(b'HTTP/1.1 400')
        assert ask(address, fox).status_code == 200
        assert hangs.recv(9999).startswith(b'HTTP/1.1 408')


def test_figures_and_health_are_told(address, fox, metric):
    ask(address, fox)
    figures = httpx.get(f'{address}/metrics').text
    assert 'moeagiqa_requests_total{status="200"}' in figures
    assert 'moeagiqa_images_total{outcome="scored"}' in figures
    assert 'moeagiqa_waiting_images 0.0' in figures
    assert httpx.get(f'{address}/healthz').json()['made_by']['weights'] == metric.net.fingerprint


def test_the_description_is_shown_without_a_network(address):
    page = httpx.get(f'{address}/docs').text
    assert '//cdn' not in page
    assert httpx.get(f'{address}/swagger/swagger-ui-bundle.js').status_code == 200
    assert '/score' in httpx.get(f'{address}/openapi.json').json()['paths']


def test_a_key_is_asked_for(metric, fox):
    with running(app(metric, api_key=' s3cret\n')) as address:
        assert httpx.get(f'{address}/').status_code == 401
        assert ask(address, fox, headers={'Authorization': 'Bearer s3cre'}).status_code == 401
        assert ask(address, fox, headers={'Authorization': 'Bearer s3cret'}).status_code == 200
        assert httpx.get(f'{address}/', auth=('anyone', 's3cret')).status_code == 200
        assert httpx.get(f'{address}/healthz').status_code == 200


# -- gradio's own API -------------------------------------------------------------------------------------------------


QUEUE, DIRECTLY = 'queue/join', 'run/predict'
FILL_IN, SCORE = 0, 1  # numbers of the page's events


def joined(address: str, path: str, route: str = QUEUE, event: int = SCORE) -> httpx.Response:
    """What gradio's API says to a file that is named."""
    file = {'path': path, 'meta': {'_type': 'gradio.FileData'}}
    body = {'data': [[file], '', ''], 'fn_index': event, 'session_hash': 'x'}
    return httpx.post(f'{address}/gradio_api/{route}', json=body)


@pytest.mark.parametrize(('route', 'event'), [(QUEUE, SCORE), (DIRECTLY, FILL_IN)])
def test_addresses_are_not_fetched_and_files_of_the_machine_not_read(address, fox, route, event):
    with socket.create_server(('127.0.0.1', 0)) as elsewhere:
        elsewhere.setblocking(False)
        url = f'http://127.0.0.1:{elsewhere.getsockname()[1]}/cat.png'
        for path in (url, url.upper(), str(fox), '/etc/passwd', '../cat.png'):
            assert joined(address, path, route, event).status_code == 400
        for place in (
            f'file={url}',
            f'file={fox}',
            'file=/etc/passwd',
            f'proxy={url}',
            'info',
            'call/score',
        ):
            assert httpx.get(f'{address}/gradio_api/{place}').status_code == 404
        with pytest.raises(BlockingIOError):
            elsewhere.accept()


def test_the_folder_of_uploads_is_no_upload(address, fox):
    """What is joined is removed when the page is closed."""
    files = {'files': (fox.name, fox.read_bytes())}
    picture = Path(httpx.post(f'{address}/gradio_api/upload', files=files, timeout=60).json()[0])
    assert picture.is_file()
    for place in (picture.parent, picture.parents[1], picture.parents[1] / 'nothing', f'{picture.parent}/./{fox.name}'):
        assert joined(address, str(place)).status_code == 400
    assert joined(address, str(picture)).status_code == 200
    assert joined(address, str(picture), DIRECTLY, FILL_IN).json()['data'][0] == 'a red fox'
    assert joined(address, str(picture), DIRECTLY, SCORE).status_code == 404  # scores are made through the queue


def test_prompts_are_looked_for_in_no_more_pictures_than_are_scored(small, fox):
    files = [('files', (f'{number}.png', fox.read_bytes())) for number in range(1 + SMALL.max_images)]
    uploads = httpx.post(f'{small}/gradio_api/upload', files=files, timeout=60).json()

    def filled_in(paths):  # by a program that names no session
        given = [{'path': path, 'meta': {'_type': 'gradio.FileData'}} for path in paths]
        body = {'data': [given, '', ''], 'fn_index': FILL_IN}
        return httpx.post(f'{small}/gradio_api/{DIRECTLY}', json=body, timeout=60).json()['data'][0]

    assert filled_in(uploads[1:]) == 'a red fox'
    assert filled_in(uploads) == {'__type__': 'update'}  # the prompt stays as it is


@pytest.mark.parametrize(
    'place', ['gradio_api/vibe-edit', 'gradio_api/run/score', 'monitoring', 'login', 'gradio_api/process_recording']
)
def test_other_routes_of_gradio_are_closed(address, place):
    answer = httpx.post(f'{address}/{place}', json={})
    assert (answer.status_code, answer.json()) == (404, {'detail': 'There is no such page.'})


# -- the queue --------------------------------------------------------------------------------------------------------


class Held:
    """A service whose scoring waits until it is let go."""

    def __init__(self, metric, limits, at_once=4):
        self.figures, self.begun, self.go = Figures(), threading.Event(), threading.Event()
        self.service = Service(metric, limits, self.figures, at_once)
        score = self.service._scorer.score

        def held(batch):
            self.begun.set()
            self.go.wait(60)
            return score(batch)

        self.service._scorer.score = held

    def picture(self, file, prompt) -> Picture:
        return Picture(file.name, io.BytesIO(file.read_bytes()), prompt)


def test_requests_share_batches(metric, fox):
    held = Held(metric, Limits())

    async def scored():
        first = asyncio.create_task(held.service.score([held.picture(fox, 'a')]))
        await asyncio.to_thread(held.begun.wait)
        others = [asyncio.create_task(held.service.score([held.picture(fox, text)])) for text in 'bcde']
        while held.service._ready.qsize() < 4:
            await asyncio.sleep(0.01)
        held.go.set()
        return [answer.result.score for answers in await asyncio.gather(first, *others) for answer in answers]

    try:
        assert asyncio.run(scored()) == metric.net.matrix(str(fox), list('abcde'))[0].tolist()
    finally:
        held.service.close()
    assert 'moeagiqa_batch_images_count 2.0' in held.figures.as_text().decode()  # of one, and of four
    assert 'moeagiqa_batch_images_bucket{le="1.0"} 1.0' in held.figures.as_text().decode()


def test_the_queue_is_bounded_and_free_again_after_callers_have_gone(metric, fox):
    held = Held(metric, Limits(queue=2, timeout=1))

    async def asked():
        with pytest.raises(TooSlow, match='within 1 seconds'):
            await held.service.score([held.picture(fox, 'a'), held.picture(fox, 'b')])
        with pytest.raises(
            Busy, match='2 images wait already'
        ):  # they are gone from the queue when they are not scored
            await held.service.score([held.picture(fox, 'c')])
        held.go.set()

    asyncio.run(asked())
    held.service.close()
    assert 'moeagiqa_waiting_images 0.0' in held.figures.as_text().decode()
    with pytest.raises(Busy, match='being stopped'):
        asyncio.run(held.service.score([held.picture(fox, 'd')]))


def test_what_was_begun_is_answered_when_the_service_stops(metric, fox, monkeypatch):
    begun, go, call = threading.Event(), threading.Event(), type(metric).__call__

    def slow(*args, **options):
        begun.set()
        go.wait(60)
        return call(*args, **options)

    monkeypatch.setattr(type(metric), '__call__', slow)
    with ThreadPoolExecutor(1) as pool:
        with running(app(metric)) as address:
            answer = pool.submit(ask, address, fox)
            begun.wait(60)
            threading.Timer(0.5, go.set).start()
        assert answer.result().json()['results'][0]['prompt'] == 'a red fox'
