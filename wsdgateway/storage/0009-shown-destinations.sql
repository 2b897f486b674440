ALTER TABLE device_subscription ADD COLUMN shown TEXT NOT NULL DEFAULT '[]'; -- context, name and DestinationToken of the gateway's own destinations, as JSON
