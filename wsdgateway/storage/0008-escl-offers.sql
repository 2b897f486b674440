CREATE TABLE escl_offer (
    scanner TEXT PRIMARY KEY, -- its name
    place TEXT NOT NULL, -- its address in the configuration
    endpoint TEXT NOT NULL,
    labels TEXT NOT NULL, -- FriendlyName, Manufacturer, ModelName and FirmwareVersion, as JSON
    elements TEXT NOT NULL -- GetScannerElementsResponse
);
