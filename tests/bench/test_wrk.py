"""Reports of wrk."""

import pytest

from bench.errors import BenchmarkFailed
from bench.wrk import read_report

pytestmark = pytest.mark.pure

REPORT = """Running 1s test @ http://127.0.0.1:5000/v2/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.89ms    4.52ms  40.46ms   95.02%
    Req/Sec     1.16k   328.02     1.34k    90.00%
  {requests} requests in {time}, 193.88KB read
{more}Requests/sec:   1158.91
Transfer/sec:    193.53KB
"""


@pytest.mark.parametrize(("time", "seconds"), [("1.10s", 1.1), ("900.00ms", 0.9), ("2.00m", 120.0)])
def test_requests_and_seconds_are_read(time: str, seconds: float) -> None:
    load = read_report(REPORT.format(requests=1161, time=time, more=""))
    assert load.requests == 1161
    assert load.per_second == pytest.approx(1161 / seconds)


@pytest.mark.parametrize(
    "fault",
    [
        "  Non-2xx or 3xx responses: 507\n",
        "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
    ],
)
def test_failed_requests_are_no_speed(fault: str) -> None:
    with pytest.raises(BenchmarkFailed, match=fault.strip().split(":")[0]):
        read_report(REPORT.format(requests=1161, time="1.10s", more=fault))


def test_anything_else_is_refused() -> None:
    with pytest.raises(BenchmarkFailed):
        read_report("unable to connect to 127.0.0.1:5000 Connection refused\n")
