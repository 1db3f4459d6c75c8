# SPDX-License-Identifier: Apache-2.0
"""
Who of the fleet is heard, once an hour: what devices said last is gathered out of the tables of
readings, and the silent ones are counted.

The tables have every reading, some gigabytes an hour for a large fleet; what is asked about devices
must not read them again each time. So each call reads the last hours of them once, and leaves one
line for each device and spool:

    health/dt=2026-11-28/2026-11-28T19-05-00Z.jsonl.gz

which is all that the view `fleet` reads (template.yaml). A call that is repeated, or misses its
hour, changes nothing there: the view takes the newest line of a device, and counters only grow.

A device is heard when a record of it, of any sensor, comes to lie in the bucket: at the record's
time, unless that is of another hour than the object's. Then its clock is wrong, or it was sent
late, and the object's hour begins it.

Environment: DATABASE      of the tables, TABLES which of them, separated by commas
             WORK_GROUP    of Athena, which says where results go
             BUCKET        where health/ is
             STACK         the metric's dimension
             SILENT_HOURS  a device not heard for so long is silent
"""
import dataclasses
import datetime
import json
import os

import output
import services

# Late by up to this, and a call that fails between: seen all the same.
HOURS_BACK = 2
WAIT_S = 1.0
LONGEST_QUERY_S = 240
# The members of a health record that become columns of the table `health`.
MEMBERS = {"version": str, "config_id": str, "uptime_s": int, "depth": int, "oldest_age_s": int,
           "evicted": int, "dead": int, "clock": str, "certificate_days": int, "flash_bytes": int,
           "flash_commits": int, "link_bytes": int, "healthy": bool, "warnings": int}
BIGINT = 1 << 63


class Failed(Exception):
    """Athena did not answer a query; the text says why."""


@dataclasses.dataclass
class Settings:
    """What the environment says."""
    database: str
    tables: list
    work_group: str
    bucket: str
    stack: str
    silent_hours: int


def settings_of(environment):
    return Settings(environment["DATABASE"], environment["TABLES"].split(","),
                    environment["WORK_GROUP"], environment["BUCKET"], environment["STACK"],
                    int(environment["SILENT_HOURS"]))


def hour_sql(table, hour):
    """The records of one hour of one table: that hour's partition and no other is read."""
    return (f"SELECT device, spool, seq, sensor, ts, data, '{hour:%Y-%m-%dT%H}' AS arrived "
            f"FROM {table} WHERE year = {hour.year} AND month = {hour.month} "
            f"AND day = {hour.day} AND hour = {hour.hour}")


def gather_sql(settings, now):
    """Of each device and spool when it was heard, and its newest health record."""
    hours = [now - datetime.timedelta(hours=back) for back in range(HOURS_BACK + 1)]
    records = "\nUNION ALL ".join(hour_sql(f"{settings.database}.{table}", hour)
                                  for table in settings.tables for hour in hours)
    return f"""
SELECT device, spool, max(heard) AS heard,
       max(seq) FILTER (WHERE health IS NOT NULL) AS seq,
       max_by(health, seq) FILTER (WHERE health IS NOT NULL) AS health
FROM (
  SELECT device, spool, seq,
         CASE WHEN try(from_iso8601_timestamp(ts)) IS NOT NULL AND substr(ts, 1, 13) = arrived
              THEN ts ELSE arrived || ':00:00.000Z' END AS heard,
         CASE WHEN sensor = 'runnel' AND json_extract_scalar(data, '$.event') = 'health'
              THEN data END AS health
  FROM ({records})
  WHERE device IS NOT NULL
)
GROUP BY device, spool"""


def silent_sql(settings):
    return (f"SELECT count(*) AS silent FROM {settings.database}.fleet "
            f"WHERE silent_h >= {settings.silent_hours}")


def line_of(row):
    """A line of the table `health`: of the record just what has the type of its column."""
    line = {name: row[name] for name in ("device", "spool", "heard") if row[name] is not None}
    health = document_of(row["health"] or "{}")
    found = {name: health[name] for name, kind in MEMBERS.items() if fits(health.get(name), kind)}
    if found:
        line["seq"] = int(row["seq"])
    return json.dumps({**line, **found}, ensure_ascii=False, separators=(",", ":")).encode()


def document_of(text):
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {}


def fits(value, kind):
    # Where a number is wanted, true is none.
    return type(value) is kind and (kind is not int or -BIGINT <= value < BIGINT)


class Watch:
    """One call."""

    def __init__(self, clients, settings):
        self.services = clients
        self.settings = settings
        self.now = datetime.datetime.fromtimestamp(clients.now(), datetime.timezone.utc)

    def run(self):
        """Gathers and counts; returns (devices and spools heard, silent devices)."""
        lines = [line_of(row) for row in self.rows(gather_sql(self.settings, self.now))]
        if lines:
            self.keep(lines)
        row, = self.rows(silent_sql(self.settings))
        self.tell(int(row["silent"]))
        return len(lines), int(row["silent"])

    def keep(self, lines):
        key = f"health/dt={self.now:%Y-%m-%d}/{self.now:%Y-%m-%dT%H-%M-%SZ}.jsonl.gz"
        self.services.retry(lambda: self.services.s3.put_object(
            Bucket=self.settings.bucket, Key=key, Body=output.pack(lines)))

    def tell(self, silent):
        """The metric that the alarm looks at; its absence rings as well."""
        metric = {"MetricName": "SilentDevices", "Value": silent, "Unit": "Count",
                  "Dimensions": [{"Name": "Stack", "Value": self.settings.stack}]}
        self.services.retry(lambda: self.services.cloudwatch.put_metric_data(
            Namespace="runnel", MetricData=[metric]))

    def rows(self, sql):
        """The rows of a query, as dictionaries of texts. Raises Failed."""
        started = self.services.retry(lambda: self.services.athena.start_query_execution(
            QueryString=sql, WorkGroup=self.settings.work_group))
        query = started["QueryExecutionId"]
        self.wait_for(query)
        names, page = None, {"NextToken": None}
        while "NextToken" in page:
            page = self.page_of(query, page["NextToken"])
            for row in page["ResultSet"]["Rows"]:
                values = [value.get("VarCharValue") for value in row["Data"]]
                # The first row of all is the head.
                if names is None:
                    names = values
                else:
                    yield dict(zip(names, values))

    def page_of(self, query, token):
        more = {"NextToken": token} if token else {}
        return self.services.retry(lambda: self.services.athena.get_query_results(
            QueryExecutionId=query, **more))

    def wait_for(self, query):
        until = self.services.now() + LONGEST_QUERY_S
        while self.services.now() < until:
            status = self.services.retry(lambda: self.services.athena.get_query_execution(
                QueryExecutionId=query))["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return
            if status["State"] not in ("QUEUED", "RUNNING"):
                raise Failed(f"{status['State']}: {status.get('StateChangeReason')}")
            self.services.sleep(WAIT_S)
        raise Failed(f"no answer in {LONGEST_QUERY_S} s")


def handler(_event, _context):
    heard, silent = Watch(services.Services(), settings_of(os.environ)).run()
    print(json.dumps({"heard": heard, "silent": silent}))
