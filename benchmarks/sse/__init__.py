"""The fan-out of events to many subscribers: what does it cost, and how late do they arrive?"""
