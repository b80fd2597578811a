"""The retail prices stand-in: list prices of Azure Container Apps in the shape of the Retail Prices API."""
