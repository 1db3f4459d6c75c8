# SPDX-License-Identifier: Apache-2.0
"""
A SQL job of Managed Service for Apache Flink over the stream: of each channel its mean, least and
greatest value and their count, by the minute of the reading, as JSON into the bucket.

It is a view of what is going on, not the record of what was: a reading that comes later than
LATE_MINUTES behind the newest one of its shard is left out, one that comes twice counts twice. The
consumer's objects (records/) have each reading once.

It reads records of one reading each (format json, pack none). The properties are those of the group
`runnel` in the template: stream (an ARN), region, output (a path s3a://BUCKET/PREFIX/).
"""
import json

PROPERTIES = "/etc/flink/application_properties.json"
LATE_MINUTES = 2

READINGS = """
CREATE TABLE readings (
    device STRING,
    sensor STRING,
    ts TIMESTAMP_LTZ(3),
    `values` MAP<STRING, DOUBLE>,
    WATERMARK FOR ts AS ts - INTERVAL '{late}' MINUTE
) WITH (
    'connector' = 'kinesis',
    'stream.arn' = '{stream}',
    'aws.region' = '{region}',
    'source.init.position' = 'LATEST',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601',
    'json.ignore-parse-errors' = 'true'
)"""

CHANNELS = """
CREATE TEMPORARY VIEW channels AS
SELECT device, sensor, ts, channel, reading
FROM readings CROSS JOIN UNNEST(`values`) AS one (channel, reading)"""

MINUTES = """
CREATE TABLE minutes (
    device STRING,
    sensor STRING,
    channel STRING,
    `minute` TIMESTAMP(3),
    mean DOUBLE,
    least DOUBLE,
    greatest DOUBLE,
    readings BIGINT,
    dt STRING
) PARTITIONED BY (dt) WITH (
    'connector' = 'filesystem',
    'path' = '{output}',
    'format' = 'json',
    'json.timestamp-format.standard' = 'ISO-8601',
    'sink.rolling-policy.rollover-interval' = '5 min',
    'sink.rolling-policy.check-interval' = '1 min'
)"""

JOB = """
INSERT INTO minutes
SELECT device, sensor, channel, window_start, AVG(reading), MIN(reading), MAX(reading), COUNT(*),
    DATE_FORMAT(window_start, 'yyyy-MM-dd')
FROM TABLE(TUMBLE(TABLE channels, DESCRIPTOR(ts), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end, device, sensor, channel"""


def properties_of(text):
    """The properties of the group `runnel`."""
    groups = {one["PropertyGroupId"]: one["PropertyMap"] for one in json.loads(text)}
    return groups["runnel"]


def statements_of(properties):
    """The job, statement by statement."""
    return (READINGS.format(late=LATE_MINUTES, stream=properties["stream"],
                            region=properties["region"]),
            CHANNELS, MINUTES.format(output=properties["output"]), JOB)


def main():
    """Hands the job to Flink."""
    # Managed Flink has it; who only reads the statements needs it not.
    from pyflink.table import EnvironmentSettings, TableEnvironment

    with open(PROPERTIES, encoding="utf-8") as file:
        properties = properties_of(file.read())
    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    table.get_config().set("table.local-time-zone", "UTC")
    # A shard without gateways must not hold up the others' minutes.
    table.get_config().set("table.exec.source.idle-timeout", "1 min")
    for statement in statements_of(properties):
        table.execute_sql(statement)


if __name__ == "__main__":
    main()
