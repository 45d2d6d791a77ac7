"""Arrow files as pandas and polars write them: `python3 tests/golden/arrow.py`, by pandas and pyarrow.

Writes tests/golden/arrow/*.arrow, which tests/shared/formats/arrow.test.ts and, of rows of activations,
tests/gpu-worker/sae/rows/row-file.test.ts read. polars itself is not needed: the files
named after it have its types (texts as views or large texts, categories as uint32 codes of large texts).
"""

import os

import pandas as pd
import pyarrow as pa

FOLDER = os.path.join(os.path.dirname(__file__), 'arrow')
N = 200

frame = pd.DataFrame({
    'x': [i / 8 - 3 for i in range(N)],
    'count': pd.array([None if i % 50 == 7 else i for i in range(N)], dtype='Int64'),
    'flag': [i % 3 == 0 for i in range(N)],
    'level': pd.Categorical([None if i % 40 == 9 else 'low mid high'.split()[i % 3] for i in range(N)],
                            categories=['low', 'mid', 'high'], ordered=True),
    'code': pd.Categorical([i % 4 + 10 for i in range(N)]),
    'text': ['name ' + str(i % 7) for i in range(N)],
    'when': pd.date_range('2024-01-01', periods=N),
})


def write(name, table, codec, stream=False):
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.OSFile(os.path.join(FOLDER, name + '.arrow'), 'wb') as sink:
        make = pa.ipc.new_stream if stream else pa.ipc.new_file
        with make(sink, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=90)


if __name__ == '__main__':
    os.makedirs(FOLDER, exist_ok=True)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    for codec in ('lz4', 'zstd'):
        frame.to_feather(os.path.join(FOLDER, f'pandas-{codec}.arrow'), compression=codec)
    write('pandas-stream', table, 'lz4', stream=True)
    category = pa.dictionary(pa.uint32(), pa.large_string())
    level = pa.array([None if v is pd.NA or v != v else v for v in frame.level.astype(object)], pa.large_string())
    columns = {
        'x': table['x'], 'count': table['count'], 'flag': table['flag'],
        'level': level.dictionary_encode().cast(category),
    }
    write('polars-zstd', pa.table({**columns, 'text': table['text'].cast(pa.large_string())}), 'zstd')
    write('polars-views', pa.table({**columns, 'text': table['text'].cast(pa.string_view())}), None)
    write('polars-views-lz4', pa.table({**columns, 'text': table['text'].cast(pa.string_view())}), 'lz4')
    rows = [[(6 * i + j) * 37 % 200 / 2 - 50 for j in range(6)] for i in range(130)]
    write('rows-lz4', pa.table({'x': pa.array(rows, pa.list_(pa.float32(), 6))}), 'lz4')
    write('rows-zstd', pa.table({'x': pa.array(rows, pa.list_(pa.float64()))}), 'zstd', stream=True)

    # Columns of numbers, one by a dictionary, in batches of which some are empty, as a filter leaves them.
    columns = {'abcdef'[j]: pa.array([row[j] for row in rows], pa.float32()) for j in range(6)}
    odd = pa.table({**columns, 'c': columns['c'].dictionary_encode()})
    with pa.OSFile(os.path.join(FOLDER, 'rows-odd.arrow'), 'wb') as sink:
        with pa.ipc.new_file(sink, odd.schema) as writer:
            [whole] = odd.to_batches()
            for first, count in ((0, 0), (0, 60), (60, 0), (60, 70), (130, 0)):
                writer.write_batch(whole.slice(first, count))
